"""Keep a Django site's members in step with Constant Contact.

The package does nothing on import: ``apps`` connects the receivers, ``conf`` reads the settings.
"""

__version__ = "0.1.0"
