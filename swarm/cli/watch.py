"""The watchers of a command: the live page, the metrics file, JSON lines, and notifications.

Each is loaded only if it is asked for.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from swarm.cli.failure import as_json, failure_of
from swarm.cli.json_lines import active
from swarm.cli.log import notice
from swarm.cli.progress import SilentProgress
from swarm.config.settings import Settings
from swarm.run.stop import EndNow

if TYPE_CHECKING:
    from swarm.monitor.notifier import Notifier
    from swarm.monitor.observer import EventObserver, Sink
    from swarm.monitor.page import LivePage
    from swarm.run.observer import Observer
    from swarm.run.report import Report


class Watch:
    """The watchers of one command; ``observer`` is for its run, ``progress`` its display."""

    def __init__(self, settings: Settings, progress: SilentProgress) -> None:
        self.progress = progress
        self.observer: Observer = progress
        self._settings = settings
        self._events: EventObserver | None = None
        self._page: LivePage | None = None
        self._notifier: Notifier | None = None

    def open(self, stack: ExitStack, *, is_upload: bool) -> None:
        """Open what the settings ask for; of all but an upload only JSON lines.

        Raises `SettingsError`.
        """
        settings, upload = self._settings, self._settings.upload
        sinks: list[Sink] = []
        if lines := active():
            sinks.append(lines.take)
        if is_upload and upload.metrics_file is not None:
            from swarm.monitor.metrics_file import MetricsFile

            sinks.append(MetricsFile(upload.metrics_file, settings.every_id, notice).take)
        if is_upload and upload.page is not None:
            from swarm.monitor.page import LivePage

            self._page = stack.enter_context(LivePage(upload.page, notice))
            notice(f"page of this run: {self._page.url}")
            sinks.append(self._page.take)
        if sinks:
            from swarm.monitor.observer import EventObserver

            self.observer = self._events = EventObserver(self.observer, sinks, upload.rate_limit)
            self._events.start(
                str(settings.config), settings.url or "sandbox", len(settings.meters)
            )
        if is_upload and settings.notify is not None:
            from swarm.monitor.notifier import Notifier

            self._notifier = Notifier(settings.notify, settings, notice)
            self._notifier.start()

    def finish(self, report: "Report") -> None:
        """Pass on the report of an upload."""
        if self._events:
            self._events.finish(report)

    def end(self, exit_code: int, rows: int) -> None:
        """Pass on the end of another command, which has read this many rows."""
        if self._events:
            self._events.end(exit_code, rows=rows)

    def fail(self, error: BaseException) -> None:
        """Pass on that the command has failed; notify, unless it must end at once."""
        failure = failure_of(error)
        if self._events:
            self._events.fail(failure.exit_code, failure.lines)
        if not isinstance(error, EndNow | KeyboardInterrupt):
            self.notify(failure.exit_code, as_json(failure, config=str(self._settings.config)))

    def notify(self, exit_code: int, report: str) -> None:
        """Notify the targets of ``[notify]`` of the end; ``report`` is JSON."""
        if self._notifier:
            self._notifier.finish(exit_code, report)

    def stay(self) -> None:
        """Let the live page stay after the run, as long as the user has asked for."""
        if self._page:
            self._page.stay(self._settings.upload.page_after)


@contextmanager
def watched(
    settings: Settings, progress: SilentProgress, *, is_upload: bool = False
) -> Iterator[Watch]:
    """Open the watchers of a command, and close them at its end; raises `SettingsError`."""
    watch = Watch(settings, progress)
    with ExitStack() as stack:
        watch.open(stack, is_upload=is_upload)
        try:
            yield watch
        except BaseException as error:
            watch.fail(error)
            raise
