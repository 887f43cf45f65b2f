"""The URLs of the example site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_header = admin.site.site_title = "Heron Radio"
admin.site.index_title = "The office"

urlpatterns = [
    path("", include("example_project.members.urls")),
    path("ctct/", include("django_ctct.urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url="/static/members/heron.svg")),
]
