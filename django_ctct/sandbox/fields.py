"""The text fields of a contact and the places they may name: tables only (v1 sheet §3.5).

It exists so that the doors, the controls and the page name fields alike. It holds no rule of the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LIMITS: Mapping[str, int] = {
    "EmailType": 50,
    "FirstName": 50,
    "MiddleName": 50,
    "LastName": 50,
    "JobTitle": 50,
    "CompanyName": 50,
    "HomePhone": 50,
    "WorkPhone": 50,
    "Addr1": 50,
    "Addr2": 50,
    "Addr3": 50,
    "City": 50,
    "StateCode": 2,
    "StateName": 50,
    "CountryCode": 2,
    "CountryName": 50,
    "PostalCode": 25,
    "SubPostalCode": 25,
    "Note": 500,
    **{f"CustomField{number}": 50 for number in range(1, 16)},
}
"""Every writable text field in wire order, with its longest length in characters."""

ADDRESS_LIMIT = 80
LIST_NAME_LIMIT = 255

COUNTRIES: Mapping[str, str] = {
    "at": "Austria",
    "au": "Australia",
    "be": "Belgium",
    "ca": "Canada",
    "ch": "Switzerland",
    "de": "Germany",
    "dk": "Denmark",
    "es": "Spain",
    "fi": "Finland",
    "fr": "France",
    "gb": "United Kingdom",
    "ie": "Ireland",
    "in": "India",
    "it": "Italy",
    "jp": "Japan",
    "mx": "Mexico",
    "nl": "Netherlands",
    "no": "Norway",
    "nz": "New Zealand",
    "pl": "Poland",
    "pt": "Portugal",
    "se": "Sweden",
    "us": "United States",
}

_US = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,"
    "DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,"
    "KS Kansas,KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,"
    "MS Mississippi,MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,"
    "NM New Mexico,NY New York,NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,"
    "PA Pennsylvania,PR Puerto Rico,RI Rhode Island,SC South Carolina,SD South Dakota,TN Tennessee,"
    "TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,WV West Virginia,WI Wisconsin,WY Wyoming"
)
_CA = (
    "AB Alberta,BC British Columbia,MB Manitoba,NB New Brunswick,NL Newfoundland and Labrador,"
    "NS Nova Scotia,NT Northwest Territories,NU Nunavut,ON Ontario,PE Prince Edward Island,QC Quebec,"
    "SK Saskatchewan,YT Yukon"
)


def _states(text: str) -> dict[str, str]:
    return {pair[:2]: pair[3:] for pair in text.split(",")}


STATES: Mapping[str, Mapping[str, str]] = {"us": _states(_US), "ca": _states(_CA)}
"""The states and provinces by lower-case country code; codes do not overlap."""


def element_name(name: str) -> str | None:
    """Return the element name for ``first_name`` or ``FirstName``; ``None`` if no field is called so."""
    folded = re.sub(r"[_ ]", "", name).lower()
    return next((field for field in LIMITS if field.lower() == folded), None)
