"""``[credentials]`` and its named sets -> who sends a meter's packets."""

from swarm.document import METERS, Document
from swarm.secrets import SOURCES, SecretError, password
from swarm.settings import Credentials
from swarm.spelling import closest, suggestion

SECTION = "credentials"
OPTIONS = ("username", *SOURCES)


class CredentialSets:
    """All sets of an INI. Their form is checked at once, a password is had when it is needed."""

    def __init__(self, document: Document, *, secrets: bool) -> None:
        self._document = document
        self._secrets = secrets
        unnamed = {"": SECTION} if SECTION in document.sections else {}
        self._sections = unnamed | document.named(SECTION)
        self._sources = {name: self._checked(s) for name, s in self._sections.items()}
        self._had: dict[str, Credentials] = {}

    def of(self, meter: str, *, needed: bool) -> Credentials | None:
        """Return a meter's credentials; without a password where that is not ``needed``."""
        name = self._chosen(meter)
        if name is None or self._sources.get(name) is None:
            return None
        if not needed:
            return Credentials(name, "", "")
        if name not in self._had:
            self._had[name] = self._read(name)
        return self._had[name]

    def _chosen(self, meter: str) -> str | None:
        """Return the name of a meter's set, empty for the default; None if there is no such set."""
        document = self._document
        for section in (f"meter:{meter}", "swarm"):
            if document.entry(section, SECTION):
                return self._named(section)
        if "" in self._sources:
            return ""
        if self._sources:
            document.report(METERS, meter, f"credentials: missing; add [{SECTION}], or name a set")
        else:
            document.report(SECTION, None, "missing; give username and password")
        return None

    def _named(self, section: str) -> str | None:
        name = self._document.text(section, SECTION)
        if name is None or name in self._sources:
            return name
        hint = suggestion(closest(name, filter(None, self._sources)))
        message = f"no section [{SECTION}:NAME] of that name{hint}"
        self._document.report(section, SECTION, message)
        names = ", ".join(f"[{known}]" for known in self._sections.values())
        self._document.hint(section, SECTION, f"there is {names}" if names else "there is none")
        return None

    def _checked(self, section: str) -> str | None:
        """Return where a set's password comes from, None if the set can't be used."""
        document = self._document
        user = document.text(section, "username")
        if not document.entry(section, "username"):
            document.report(section, "username", "missing")
        elif user and ":" in user:
            document.report(section, "username", "holds a ':', which basic auth can't carry")
            user = None
        source = self._source(section)
        return source if user and source and document.text(section, source) else None

    def _source(self, section: str) -> str | None:
        document = self._document
        given = [source for source in SOURCES if document.entry(section, source)]
        if not given:
            expected = ", ".join(SOURCES)
            document.report(section, "password", f"missing; give one of {expected}")
        for other in given[1:]:
            document.report(section, other, f"stands beside {given[0]}; keep one of the two")
        return given[0] if len(given) == 1 else None

    def _read(self, name: str) -> Credentials:
        document = self._document
        section, source = self._sections[name], self._sources[name] or ""
        user, value = document.text(section, "username"), document.text(section, source)
        secret = ""
        if self._secrets:
            try:
                secret = password(source, value or "", document.folder, self._variables())
            except SecretError as error:
                document.report(section, source, str(error))
                document.hint(section, source)
        return Credentials(name, user or "", secret)

    def _variables(self) -> frozenset[str]:
        """Return the variables that hold passwords of the INI, whoever uses them."""
        entries = (self._document.entry(s, "password_env") for s in self._sections.values())
        return frozenset(entry.value for entry in entries if entry and entry.value)
