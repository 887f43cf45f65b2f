"""The URLs of the members' pages."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("join/", views.join, name="join"),
    path("members/<int:pk>/", views.member, name="member"),
    path("members/<int:pk>/upgrade/", views.upgrade, name="upgrade"),
    path("members/<int:pk>/downgrade/", views.downgrade, name="downgrade"),
    path("members/<int:pk>/newsletter/", views.newsletter, name="newsletter"),
    path("members/<int:pk>/leave/<slug:key>/", views.leave, name="leave"),
    path("members/<int:pk>/return/<slug:key>/", views.come_back, name="come_back"),
]
