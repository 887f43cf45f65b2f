"""The pages for members: ``path("ctct/", include("django_ctct.urls"))``. They need no login, session or cookie."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "django_ctct"

# <str> and not <slug>: a link that a mail programme has cut or added to is answered by a page, not by a bare 404.
urlpatterns = [
    path("preferences/<str:token>/", views.preferences, name="preferences"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("link/", views.fresh_link, name="fresh_link"),
    path("link/sent/", views.link_sent, name="link_sent"),
    path("link/expired/", views.link_expired, name="link_expired"),
]
