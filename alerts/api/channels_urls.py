"""Addresses of channels and notifications."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from alerts.api import channel_views as views

urlpatterns: list[URLPattern | URLResolver] = [
    path("channels", views.ChannelList.as_view(), name="alert-channels"),
    path("channels/<uuid:channel_id>", views.ChannelDetail.as_view(), name="alert-channel"),
    path("channels/<uuid:channel_id>/test", views.ChannelTest.as_view(), name="alert-channel-test"),
    path("notifications", views.NotificationList.as_view(), name="notifications"),
    path("notifications/<uuid:notification_id>", views.NotificationView.as_view(), name="notification"),
    path("notifications/<uuid:notification_id>/resend", views.NotificationResend.as_view(), name="notification-resend"),
    path("notifications/<uuid:notification_id>/cancel", views.NotificationCancel.as_view(), name="notification-cancel"),
]
