"""Section 3 of the contract, rule by rule: an INI that follows the rule, and one that breaks it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm.config.settings import Settings
from swarm.config.urls import ENVIRONMENTS, with_route
from tests.support.ini import CREDENTIALS, SWARM, meters, users

Parts = Mapping[str, str]

_ZONE = "timezone = UTC"
_SANDBOX = "environment = sandbox"
_ENVIRONMENTS = "production, development, demo, local or sandbox"
_HIDDEN = "found a value that is not shown here (it may contain a password)"
_LINES = (
    "takes several lines; begin each option without indentation: an indented line continues the "
    "option above it"
)
_DURATION = "a duration such as 90s, 15m, 2h or 1h30m"
_COLUMNS = "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
_UNITS = "units such as kW, kvar, kVA, kV, mA, kWh, at most one per quantity"
_FORMAT = (
    "a strptime format with year, month and day (and %p beside %I), such as %d/%m/%Y %H:%M, or one "
    "of unix, unix_ms, unix_us, unix_ns"
)
_IANA = "an IANA time zone such as Europe/Dublin or America/Chicago"
_NO_ZONE = (
    "timezone: missing; set the time zone of the CSV's timestamps, such as timezone = "
    "Europe/Dublin (readings sent with a wrong zone can't be corrected in the platform)"
)
_NO_URL = (
    "missing; set it to one of production, development, demo, local, sandbox, or set "
    "url = https://..."
)
_NO_PASSWORD = "missing; give one of password, password_env, password_file, password_command"
_CLEAR = "expected https:// (http:// would send the password in the clear)"


class Rule(NamedTuple):
    """A rule, with parts of an INI that follow it and parts that break it.

    ``shows`` reads from the settings of the first what has to be ``expected``; ``problems`` are
    those of the second. The sections of the INI begin on lines 1, 4 and 7; the text after the one
    meter is on line 9.
    """

    name: str
    kept: Parts
    shows: Callable[[Settings], Any]
    expected: Any
    broken: Parts
    problems: tuple[str, ...]


def _url(settings: Settings) -> str | None:
    return settings.url


def _ids(settings: Settings) -> list[str]:
    return list(meters(settings))


def _gas(settings: Settings) -> Any:
    return meters(settings)["gas"].rules


def _zone(settings: Settings) -> str | None:
    zone: str | None = _gas(settings).timezone
    return zone


def _password(settings: Settings) -> str:
    return users(settings)["gas"]


def option(name: str, kept: str, expected: Any, broken: str, problem: str) -> Rule:
    """Return the rule for an option of a meter whose wrong value is on line 10."""
    return Rule(
        f"[meter:] {name}",
        {"rest": f"[meter:gas]\n{name} = {kept}"},
        lambda settings: getattr(_gas(settings), name),
        expected,
        {"rest": f"[meter:gas]\n{name} = {broken}"},
        (f"10: [meter:gas] {name}: found '{broken}', expected {problem}",),
    )


RULES = (
    # Required settings
    Rule(
        "required: environment or url",
        {"swarm": f"url = https://h.example/x\n{_ZONE}"},
        _url,
        "https://h.example/x/",
        {"swarm": _ZONE},
        (f"1: [swarm] environment: {_NO_URL}",),
    ),
    Rule(
        "required: exactly one of environment and url",
        {"swarm": f"environment = development\n{_ZONE}"},
        _url,
        ENVIRONMENTS["development"],
        {"swarm": f"environment = demo\nurl = https://h.example/\n{_ZONE}"},
        ("3: [swarm] url: can't be used together with environment; remove one",),
    ),
    Rule(
        "required: an environment that there is",
        {"swarm": f"environment = local\n{_ZONE}"},
        _url,
        "http://localhost:8080/measurements/v2/unifiedjson/",
        {"swarm": f"environment = developmnt\n{_ZONE}"},
        (
            (
                f"2: [swarm] environment: found 'developmnt', expected {_ENVIRONMENTS}; did you "
                "mean 'development'?"
            ),
        ),
    ),
    Rule(
        "required: a credential",
        {"credentials": CREDENTIALS},
        _password,
        "acme:s3cr%et",
        {"credentials": ""},
        ("4: [credentials] username: missing", f"4: [credentials] password: {_NO_PASSWORD}"),
    ),
    Rule(
        "required: a meter",
        {"meters": "gas = gas.csv\nwater = water.csv"},
        _ids,
        ["gas", "water"],
        {"meters": ""},
        ("7: [meters]: no meter; add a line such as gas-meter-01 = gas.csv",),
    ),
    Rule(
        "required: a timezone",
        {"swarm": _SANDBOX, "rest": "[meter:gas]\ntimezone = America/Chicago"},
        _zone,
        "America/Chicago",
        {"swarm": _SANDBOX},
        (f"7: [meters] gas: {_NO_ZONE}",),
    ),
    Rule(
        "required: no timezone where timestamps carry offsets",
        {"swarm": _SANDBOX, "rest": "[meter:gas]\ntimestamp_format = %Y-%m-%d %H:%M%z"},
        _zone,
        None,
        {"swarm": _SANDBOX, "rest": "[meter:gas]\ntimestamp_format = %Y-%m-%d %H:%M"},
        (f"7: [meters] gas: {_NO_ZONE}",),
    ),
    # Form of the file
    Rule(
        "comments: whole lines",
        {"swarm": f"# a = b\n  ; c\n{SWARM}"},
        _zone,
        "Europe/Dublin",
        {"swarm": "environment = sandbox ; no comment\ntimezone = UTC # nor this"},
        (
            f"2: [swarm] environment: found 'sandbox ; no comment', expected {_ENVIRONMENTS}",
            f"3: [swarm] timezone: found 'UTC # nor this', expected {_IANA}",
        ),
    ),
    Rule(
        "interpolation: none",
        {"credentials": "username = acme\npassword = %(username)s $x ; y # z %"},
        _password,
        "acme:%(username)s $x ; y # z %",
        {"swarm": f"{_SANDBOX}\ntimezone = %(environment)s"},
        (f"3: [swarm] timezone: found '%(environment)s', expected {_IANA}",),
    ),
    Rule(
        "IDs: keep their case",
        {"meters": "gas = a.csv\nGAS = b.csv", "rest": "[meter:GAS]\ntimezone = UTC"},
        lambda settings: {name: m.rules.timezone for name, m in meters(settings).items()},
        {"gas": "Europe/Dublin", "GAS": "UTC"},
        {"rest": "[meter:Gas]\ntimezone = UTC"},
        ("9: [meter:Gas]: no such meter under [meters]; did you mean 'gas'?",),
    ),
    Rule(
        "IDs: any character but '='",
        {"meters": "a: [b] #c ; é %d = x.csv"},
        _ids,
        ["a: [b] #c ; é %d"],
        {"meters": "= gas.csv"},
        (
            "7: [meters]: no meter; add a line such as gas-meter-01 = gas.csv",
            "8: [meters]: a line that is not 'option = value'",
        ),
    ),
    Rule(
        "names: a section that there is",
        {"rest": "[upload]\nconnections = 5"},
        lambda settings: settings.upload.connections,
        5,
        {"rest": "[uplaod]\nconnections = 5\n[something]"},
        (
            "9: [uplaod]: unknown section; did you mean 'upload'?",
            "11: [something]: unknown section",
        ),
    ),
    Rule(
        "names: an option that there is",
        {"rest": "[upload]\nrate_limit = 5"},
        lambda settings: str(settings.upload.rate_limit),
        "5",
        {"rest": "[upload]\nrate-limit = 5\nsomething = 1\nrestart = yes\nunit = kW"},
        (
            "10: [upload] rate-limit: unknown option; did you mean 'rate_limit'?",
            "11: [upload] something: unknown option",
            "12: [upload] restart: unknown option; it can only be given as a flag",
            "13: [upload] unit: unknown option; it belongs under [swarm]",
        ),
    ),
    Rule(
        "names: each once",
        {"rest": "[meter:gas]\ntimezone = UTC"},
        _zone,
        "UTC",
        {"meters": "gas = a.csv\ngas = b.csv", "rest": "[swarm]\ntimezone = UTC"},
        (
            "9: [meters] gas: given twice, first on line 8",
            "10: [swarm]: this section occurs twice, first on line 1; merge the two",
            "11: [swarm] timezone: given twice, first on line 3",
        ),
    ),
    Rule(
        "values: on a line of their own",
        {"meters": "gas =\n  a.csv\n  b.csv"},
        lambda settings: [file.name for file in settings.meters[0].files],
        ["a.csv", "b.csv"],
        {"swarm": "environment = sandbox\n  timezone = UTC"},
        (f"2: [swarm] environment: {_LINES}", f"8: [meters] gas: {_NO_ZONE}"),
    ),
    Rule(
        "values: not empty",
        {"swarm": f"{SWARM}\nlog_file = x.log"},
        lambda settings: settings.log_file and settings.log_file.name,
        "x.log",
        {"swarm": f"{SWARM}\nlog_file ="},
        ("4: [swarm] log_file: empty; give it a value or leave it out",),
    ),
    # URLs and credentials
    *(
        Rule(
            f"http: {host} is loopback",
            {"swarm": f"url = http://{host}:8080/x/\n{_ZONE}"},
            _url,
            f"http://{host}:8080/x/",
            {"swarm": f"url = http://{other}:8080/x/\n{_ZONE}"},
            (f"2: [swarm] url: found 'http://{other}:8080/x/', {_CLEAR}",),
        )
        for host, other in [
            ("localhost", "localhost.example"),
            ("127.0.0.1", "127.0.0.1.example"),
            ("[::1]", "[2001:db8::1]"),
        ]
    ),
    Rule(
        "userinfo: refused, and not shown",
        {"swarm": f"url = https://h.example/\n{_ZONE}"},
        _url,
        "https://h.example/",
        {"swarm": f"url = https://acme:hunter2@h.example/\n{_ZONE}"},
        (f"2: [swarm] url: {_HIDDEN}, expected a URL without user and password",),
    ),
    Rule(
        "credentials: one password each",
        {"credentials": "username = a\npassword = b"},
        _password,
        "a:b",
        {"credentials": "username = a\npassword = hunter2\npassword_env = HUNTER2"},
        ("7: [credentials] password_env: can't be used together with password; remove one",),
    ),
    Rule(
        "credentials: further named sets",
        {"rest": "[credentials:b]\nusername = x\npassword = y\n[meter:gas]\ncredentials = b"},
        _password,
        "x:y",
        {
            "rest": "[credentials:site-b]\nusername = x\npassword = y\n"
            "[meter:gas]\ncredentials = siteb"
        },
        (
            (
                "13: [meter:gas] credentials: no section [credentials:NAME] with that name; did "
                "you mean 'site-b'?"
            ),
        ),
    ),
    Rule(
        "credentials: password_env",
        {"credentials": "username = a\npassword_env = RULES_PASSWORD"},
        _password,
        "a:one",
        {"credentials": "username = a\npassword_env = RULES_NOT_SET"},
        (
            (
                "6: [credentials] password_env: the environment variable RULES_NOT_SET is not set; "
                "it must hold the password"
            ),
        ),
    ),
    Rule(
        "credentials: password_file",
        {"credentials": "username = a\npassword_file = ~/two.txt"},
        _password,
        "a:two",
        {"credentials": "username = a\npassword_file = none.txt"},
        (
            (
                "6: [credentials] password_file: {folder}/none.txt: can't be read: No such file or "
                "directory"
            ),
        ),
    ),
    Rule(
        "credentials: password_command",
        {"credentials": "username = a\npassword_command = printf 'a b\\nc'"},
        _password,
        "a:a b",
        {"credentials": "username = a\npassword_command = sh -c 'echo hunter2 >&2; exit 3'"},
        (
            (
                "6: [credentials] password_command: the command ended with status 3; run it by "
                "hand to see why"
            ),
        ),
    ),
    # Paths
    Rule(
        "paths: relative to the INI, '~' is the home folder",
        {"swarm": f"{SWARM}\nstate = s\nlog_file = ~/x.log\nca_bundle = ~/two.txt"},
        lambda settings: (
            [str(path.relative_to(settings.config.parent)) for path in (settings.state,)],
            settings.log_file and settings.log_file.parent.name,
        ),
        (["s"], "home"),
        {"swarm": f"{SWARM}\nca_bundle = two.txt"},
        ("4: [swarm] ca_bundle: no such file: {folder}/two.txt",),
    ),
    # Options of a meter
    Rule(
        "[meter:] wins over [swarm]",
        {"swarm": f"{SWARM}\nskip_rows = 1", "rest": "[meter:gas]\nskip_rows = 2"},
        lambda settings: _gas(settings).skip_rows,
        2,
        {"swarm": f"{SWARM}\nskip_rows = 1", "rest": "[meter:gas]\nskip_rows = -2"},
        ("11: [meter:gas] skip_rows: found '-2', expected a whole number such as 0 or 1",),
    ),
    option("timezone", "UTC", "UTC", "Europe/Dubln", f"{_IANA}; did you mean 'Europe/Dublin'?"),
    option("columns", "aP_1, -, pC_1", ("aP_1", "-", "pC_1"), "aP_1, aP_1", _COLUMNS),
    option("timestamp_format", "%d/%m/%Y", "%d/%m/%Y", "%H:%M", _FORMAT),
    option("delimiter", ";", ";", ";;", "one character between cells, such as , or ; or tab"),
    option("decimal", ".", ".", "'", "'.' or ','"),
    option("skip_rows", "1", 1, "one", "a whole number such as 0 or 1"),
    option("interval", "15m", 900.0, "15", _DURATION),
    option("duplicates", "last", "last", "both", "error, first or last"),
    option("empty_rows", "skip", "skip", "drop", "error or skip"),
    option("ambiguous_time", "second", "second", "third", "infer, first, second or error"),
    option("shift", "15m", 900.0, "-15m", _DURATION),
    option("power_from_energy", "15m", 15.0, "0m", "a duration above zero, such as 30s"),
    Rule(
        "[meter:] pad_first",
        {"rest": "[meter:gas]\nshift = 15m\npad_first = yes"},
        lambda settings: _gas(settings).pad_first,
        True,
        {"rest": "[meter:gas]\nshift = 15m\npad_first = perhaps"},
        ("11: [meter:gas] pad_first: found 'perhaps', expected yes or no",),
    ),
    Rule(
        "[meter:] pad_first needs a shift",
        {"rest": "[meter:gas]\npad_first = no"},
        lambda settings: _gas(settings).pad_first,
        False,
        {"rest": "[meter:gas]\npad_first = yes"},
        (
            (
                "10: [meter:gas] pad_first: needs a shift: the extra packet is sent that much "
                "before the first row; set shift, or remove pad_first"
            ),
        ),
    ),
    Rule(
        "[meter:] unit",
        {"rest": "[meter:gas]\ncolumns = aP_1, pC_1\nunit = kW, MWh"},
        lambda settings: _gas(settings).scale,
        (("aP_1", 3), ("pC_1", 6)),
        {"rest": "[meter:gas]\ncolumns = aP_1, pC_1\nunit = kW, W"},
        (f"11: [meter:gas] unit: found 'kW, W', expected {_UNITS}",),
    ),
    Rule(
        "[meter:] unit fits a column",
        {"rest": "[meter:gas]\ncolumns = c_1\nunit = mA"},
        lambda settings: _gas(settings).scale,
        (("c_1", -3),),
        {"rest": "[meter:gas]\ncolumns = aP_1\nunit = mA"},
        ("11: [meter:gas] unit: mA fits no column; set 'columns' to what the columns hold",),
    ),
    Rule(
        "[meter:] decimal differs from delimiter",
        {"rest": "[meter:gas]\ndelimiter = ;\ndecimal = ,"},
        lambda settings: _gas(settings).decimal,
        ",",
        {"rest": "[meter:gas]\ndecimal = ,"},
        ("10: [meter:gas] decimal: the same as the delimiter; set delimiter = ; for example",),
    ),
    Rule(
        "[meter:] power_from_energy is of one column",
        {"rest": "[meter:gas]\ncolumns = -, value\npower_from_energy = 5m"},
        lambda settings: _gas(settings).power_from_energy,
        5.0,
        {"rest": "[meter:gas]\ncolumns = aP_1\npower_from_energy = 5m"},
        (
            (
                "11: [meter:gas] power_from_energy: needs a single column of energy; expected "
                "columns = value"
            ),
        ),
    ),
    Rule(
        "[meter:] route",
        {"swarm": f"url = https://h.example/x/\n{_ZONE}", "rest": "[meter:gas]\nroute = utc"},
        lambda settings: with_route(settings.url or "", settings.meters[0].route),
        "https://h.example/unifiedjson_utc/",
        {"rest": "[meter:gas]\nroute = local"},
        ("10: [meter:gas] route: found 'local', expected utc or partial",),
    ),
)

#: An INI with a problem of each kind, and all its problems in order of lines.
EVERYTHING_WRONG = """[swarm]
environmnt = sandbox
timezone = Europe/Dubln
[credentials]
pasword = hunter2
[meters]
gas = gas.csv
gas = gas2.csv
hunter2
[meter:gas]
columns = aP_1, aP_1
pad_first = yes
[meter:gaz]
skip_rows = x
[upload]
connections = 0
"""
EVERY_PROBLEM = (
    (
        "1: [swarm] environment: missing; set it to one of production, development, demo, local, "
        "sandbox, or set url = https://..."
    ),
    "2: [swarm] environmnt: unknown option; did you mean 'environment'?",
    f"3: [swarm] timezone: found 'Europe/Dubln', expected {_IANA}; did you mean 'Europe/Dublin'?",
    "4: [credentials] username: missing",
    (
        "4: [credentials] password: missing; give one of password, password_env, password_file, "
        "password_command"
    ),
    "5: [credentials] pasword: unknown option; did you mean 'password'?",
    "8: [meters] gas: given twice, first on line 7",
    "9: [meters]: a line that is not 'option = value'",
    f"11: [meter:gas] columns: found 'aP_1, aP_1', expected {_COLUMNS}",
    (
        "12: [meter:gas] pad_first: needs a shift: the extra packet is sent that much before the "
        "first row; set shift, or remove pad_first"
    ),
    "13: [meter:gaz]: no such meter under [meters]; did you mean 'gas'?",
    "14: [meter:gaz] skip_rows: found 'x', expected a whole number such as 0 or 1",
    "16: [upload] connections: found '0', expected a whole number of at least 1, or auto",
)
