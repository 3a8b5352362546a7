from django.apps import AppConfig


class FleetConfig(AppConfig):
    name = "config.tests.fleet"
    label = "fleet"

    def ready(self) -> None:
        from config.tests.fleet.tasks import copy_slowly
        from core.ports.jobs import JobKind, job_kinds

        job_kinds.register(JobKind("fleet.copy", "Copy slowly", copy_slowly, "core.add_job"))
