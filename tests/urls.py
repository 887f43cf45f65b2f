"""The URLs of the test site: the admin, and the pages for members."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("ctct/", include("django_ctct.urls"))]
