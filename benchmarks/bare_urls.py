"""Addresses of the bare project that start-up is compared with."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
