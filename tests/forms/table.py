"""The forms: where each is documented, the settings that it needs, and the packets of its sample.

The samples are written for these tests, in the documented form. docs/forms.md shows this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A form of files, and what must become of its sample.

    ``settings`` are the lines of the meter in the INI of `swarm init`. ``packets`` are the times
    and values of the first and the last packet. ``refused`` is the message of `swarm init`
    for a form that can't be sent as it is. ``left`` is what the user has to see to. If the file
    ``is_split``, only a part of it is sent before that.
    """

    name: str
    file: str
    source: str
    special: str
    zone: str = "Europe/Berlin"
    settings: str = ""
    packets: tuple[str, str] = ("", "")
    refused: str = ""
    left: str = ""
    is_split: bool = False

    @property
    def is_right(self) -> bool:
        """True if the file is sent as `swarm init` reads it."""
        return not (self.refused or self.is_split)

    @property
    def row(self) -> str:
        """The row of the form in docs/forms.md."""
        written = [line for line in self.settings.splitlines() if not line.startswith("interval")]
        done = ", ".join(f"`{line}`" for line in written) or "nothing but `interval`"
        if self.refused:
            done = "refuses it, and says why"
        return f"| {self.name} | {self.special} | {done} | {self.left} |"


_CHECK_COLUMN = "check the column that is sent, and its unit"

FORMS = (
    Form(
        "PG&E, Green Button CSV",
        "pge.csv",
        "PG&E, Green Button: Download My Data, interval data as CSV",
        "customer's data before the header; date, start and end apart, and not first",
        "America/Los_Angeles",
        "columns = -, -, value, -, -, -\n"
        "timestamp_columns = 2, 3\n"
        "timestamp_format = %Y-%m-%d %H:%M\n"
        "skip_rows = 6\n"
        "interval = 15m",
        (
            '2023-01-31T00:00:00.000-08:00","value":0.12',
            '2023-01-31T01:45:00.000-08:00","value":0.19',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "SDG&E, Green Button CSV",
        "sdge.csv",
        "SDG&E, My Energy Center: Green Button Download as CSV",
        "all cells quoted; date and AM/PM time apart; month first",
        "America/Los_Angeles",
        "columns = -, -, value, -, -\n"
        "timestamp_columns = 2, 3\n"
        "timestamp_format = %m/%d/%Y %I:%M %p\n"
        "skip_rows = 6\n"
        "interval = 15m",
        (
            '2023-01-31T11:00:00.000-08:00","value":0.0500',
            '2023-01-31T12:45:00.000-08:00","value":0.1200',
        ),
        left="consumption is sent; choose `Net` instead if you generate",
    ),
    Form(
        "AGL, My Usage Data",
        "agl.csv",
        "AGL (Australia): My Usage Data, CSV of 30-minute readings",
        "identifiers in numbers; two columns of AM/PM times, day first",
        "Australia/Sydney",
        "columns = -, -, -, -, -, -, -, value, -, -\n"
        "timestamp_columns = 7\n"
        "timestamp_format = %d/%m/%Y %I:%M:%S %p\n"
        "skip_rows = 1\n"
        "interval = 30m",
        (
            '2023-01-31T11:00:00.000+11:00","value":0.250',
            '2023-01-31T13:30:00.000+11:00","value":0.875',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "ESB Networks, HDF",
        "esb.csv",
        "ESB Networks (Ireland): Harmonised Downloadable File, 30-minute readings in kW",
        "time last and after the value; newest row first",
        "Europe/Dublin",
        "columns = -, -, value, -\n"
        "timestamp_columns = 5\n"
        "timestamp_format = %d-%m-%Y %H:%M\n"
        "skip_rows = 1\n"
        "interval = 30m",
        (
            '2023-12-31T00:30:00.000+00:00","value":0.250000',
            '2023-12-31T03:00:00.000+00:00","value":0.875000',
        ),
        left="the times are the ends of the intervals; a file with export too has two meters",
    ),
    Form(
        "Octopus Energy",
        "octopus.csv",
        "Octopus Energy (UK): consumption as CSV, half-hourly",
        "value first; beginning and end with offsets; blanks after commas",
        "Europe/London",
        "columns = value, -\n"
        "timestamp_columns = 2\n"
        "timestamp_format = %Y-%m-%dT%H:%M:%S%z\n"
        "skip_rows = 1\n"
        "interval = 30m",
        (
            '2023-01-31T00:00:00.000+00:00","value":0.250',
            '2023-01-31T02:30:00.000+00:00","value":0.875',
        ),
        left="",
    ),
    Form(
        "Enedis, customer account",
        "enedis-account.csv",
        "Enedis (France), Mon compte: Télécharger mes données, courbe de charge",
        "a line of the request, with dates, before the data; offsets; empty values",
        "Europe/Paris",
        "timestamp_format = %Y-%m-%dT%H:%M:%S%z\n"
        "delimiter = ;\n"
        "skip_rows = 4\n"
        "empty_rows = skip\n"
        "interval = 30m",
        (
            '2023-01-31T00:30:00.000+01:00","value":540',
            '2023-01-31T03:30:00.000+01:00","value":582',
        ),
        left="the times are the ends of the intervals",
    ),
    Form(
        "Enedis, ordered measurements",
        "enedis-order.csv",
        "Enedis (France), SGE: courbe de charge as CSV, a row for each Horodate",
        "the dates of the request in each row, before the time of the row",
        "Europe/Paris",
        "columns = -, -, -, -, -, -, -, value, -, -, -, -\n"
        "timestamp_columns = 8\n"
        "delimiter = ;\n"
        "skip_rows = 1\n"
        "interval = 30m",
        (
            '2023-01-31T00:30:00.000+01:00","value":692',
            '2023-01-31T03:00:00.000+01:00","value":647',
        ),
        left="the times are the ends of the intervals",
    ),
    Form(
        "Stadtwerke, load profile",
        "stadtwerke.csv",
        "German utilities: Lastgang as CSV, as saved by Excel",
        "cp1252; customer's data before the header; date, start and end apart; decimal comma",
        "Europe/Berlin",
        "columns = -, value, -\n"
        "timestamp_columns = 1, 2\n"
        "timestamp_format = %d.%m.%Y %H:%M\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 4\n"
        "encoding = cp1252\n"
        "interval = 15m",
        (
            '2023-01-31T10:00:00.000+01:00","value":0.250',
            '2023-01-31T11:45:00.000+01:00","value":1.125',
        ),
        left="check the text that is shown for the encoding",
    ),
    Form(
        "Wiener Netze",
        "wiener-netze.csv",
        "Wiener Netze (Austria), Smart Meter portal: quarter-hourly values as CSV",
        "UTF-8 with a BOM; date, start and end apart; decimal comma",
        "Europe/Vienna",
        "columns = -, value\n"
        "timestamp_columns = 1, 2\n"
        "timestamp_format = %d.%m.%Y %H:%M:%S\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "interval = 15m",
        (
            '2023-01-31T10:00:00.000+01:00","value":0.250',
            '2023-01-31T11:45:00.000+01:00","value":1.125',
        ),
        left="",
    ),
    Form(
        "Eloverblik",
        "eloverblik.csv",
        "Energinet (Denmark), Eloverblik: meter data as CSV",
        "identifier first; day first with hyphens; decimal comma",
        "Europe/Copenhagen",
        "columns = -, -, value, -, -, -\n"
        "timestamp_columns = 2\n"
        "timestamp_format = %d-%m-%Y %H:%M\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "interval = 1h",
        (
            '2023-01-31T00:00:00.000+01:00","value":0.250',
            '2023-01-31T05:00:00.000+01:00","value":0.875',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "Elhub",
        "elhub.csv",
        "Elhub (Norway): hourly consumption as CSV",
        "beginning and end; empty columns of production; two columns of one name",
        "Europe/Oslo",
        "columns = -, value, -, -, -\n"
        "timestamp_format = %d.%m.%Y %H:%M\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "interval = 1h",
        (
            '2023-01-31T00:00:00.000+01:00","value":0.250',
            '2023-01-31T05:00:00.000+01:00","value":0.875',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "Fingrid, Datahub",
        "fingrid-datahub.csv",
        "Fingrid (Finland), Datahub customer portal: consumption as CSV",
        "numbers of the metering point and the product; ISO with Z; decimal comma",
        "Europe/Helsinki",
        "columns = -, -, -, -, -, value, -\n"
        "timestamp_columns = 6\n"
        "timestamp_format = %Y-%m-%dT%H:%M:%S%z\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "interval = 1h",
        (
            '2023-01-30T22:00:00.000+00:00","value":0.250000',
            '2023-01-31T03:00:00.000+00:00","value":0.300000',
        ),
        left="",
    ),
    Form(
        "Fingrid, open data",
        "fingrid.csv",
        "Fingrid (Finland), open data platform: data set as CSV",
        "beginning and end, quoted, ISO with milliseconds and Z",
        "Europe/Helsinki",
        "columns = -, value\n"
        "timestamp_format = %Y-%m-%dT%H:%M:%S.%f%z\n"
        "delimiter = ;\n"
        "skip_rows = 1\n"
        "interval = 15m",
        (
            '2023-01-31T00:00:00.000+00:00","value":9010.5',
            '2023-01-31T01:15:00.000+00:00","value":9025.5',
        ),
        left="",
    ),
    Form(
        "ENTSO-E, file library",
        "entsoe-file-library.csv",
        "ENTSO-E Transparency Platform, SFTP and file library: ActualTotalLoad",
        "tabs; UTC in the name of the column; a second time at the end",
        "Europe/Helsinki",
        "columns = -, -, -, -, -, value, -\n"
        "timezone = Etc/UTC\n"
        "timestamp_format = %Y-%m-%d %H:%M:%S.%f\n"
        "delimiter = tab\n"
        "skip_rows = 1\n"
        "interval = 1h",
        (
            '2023-01-31T00:00:00.000+00:00","value":9010.5',
            '2023-01-31T05:00:00.000+00:00","value":9025.5',
        ),
        left="a file with several areas: `swarm split FILE --by MapCode --into FOLDER`",
    ),
    Form(
        "Niagara, history export",
        "niagara.csv",
        "Tridium Niagara: export of a history as CSV",
        "name of the history; month as a word, AM/PM; GMT after the time; `nan`",
        "Europe/London",
        "columns = -, -, value\n"
        "timezone = Etc/UTC\n"
        "timestamp_format = %d-%b-%y %I:%M:%S %p GMT\n"
        "skip_rows = 2\n"
        "missing = nan\n"
        "empty_rows = skip\n"
        "interval = 15m",
        (
            '2023-01-31T10:00:00.000+00:00","value":40.00',
            '2023-01-31T11:30:00.000+00:00","value":49.00',
        ),
        left="names of other zones, such as EST: export the times without them",
    ),
    Form(
        "Excel, Western Europe",
        "excel-western.csv",
        "Microsoft Excel: Save as CSV, with the settings of Germany",
        "cp1252; semicolons; decimal comma; a temperature beside the meter",
        "Europe/Berlin",
        "columns = -, value\n"
        "timestamp_format = %d.%m.%Y %H:%M\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "encoding = cp1252\n"
        "interval = 1h",
        (
            '2023-01-31T00:00:00.000+01:00","value":120.0',
            '2023-01-31T05:00:00.000+01:00","value":137.5',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "Excel, Unicode text",
        "excel-unicode.txt",
        "Microsoft Excel: Save as Unicode Text",
        "UTF-16 with a byte order mark; tabs",
        "Europe/London",
        "timestamp_format = %d/%m/%Y %H:%M\ndelimiter = tab\nskip_rows = 1\ninterval = 1h",
        (
            '2023-01-31T00:00:00.000+00:00","value":0.250',
            '2023-01-31T05:00:00.000+00:00","value":0.875',
        ),
        left="",
    ),
    Form(
        "InfluxDB, annotated CSV",
        "influxdb.csv",
        "InfluxDB: annotated CSV syntax",
        "three lines of annotations; the bounds of the query in each row; ISO with Z",
        "Etc/UTC",
        "columns = -, -, -, -, -, value, -, -\n"
        "timestamp_columns = 6\n"
        "timestamp_format = %Y-%m-%dT%H:%M:%S%z\n"
        "skip_rows = 4\n"
        "interval = 15m",
        (
            '2023-01-31T00:15:00.000+00:00","value":40.0',
            '2023-01-31T01:30:00.000+00:00","value":47.5',
        ),
        left="",
    ),
    Form(
        "Grafana",
        "grafana.csv",
        "Grafana: Inspect, Data, Download CSV",
        "quoted header",
        "Europe/Dublin",
        "skip_rows = 1\ninterval = 15m",
        (
            '2023-01-31T00:00:00.000+00:00","value":40.0',
            '2023-01-31T01:15:00.000+00:00","value":47.5',
        ),
        left="values with units: switch formatted data off before the download",
    ),
    Form(
        "Home Assistant",
        "home-assistant.csv",
        "Home Assistant: download of a history as CSV",
        "time last, ISO with Z; `unavailable` and `unknown`",
        "Etc/UTC",
        "columns = -, value\n"
        "timestamp_columns = 3\n"
        "timestamp_format = %Y-%m-%dT%H:%M:%S.%f%z\n"
        "skip_rows = 1\n"
        "missing = unavailable, unknown\n"
        "empty_rows = skip",
        (
            '2023-01-31T00:00:00.100+00:00","value":40.0',
            '2023-01-31T01:45:00.107+00:00","value":50.5',
        ),
        left="",
    ),
    Form(
        "Onset HOBO",
        "hobo.csv",
        "Onset HOBOware: export of a plot as text",
        "plot title; number of the row first; year of two digits, AM/PM; GMT in the header",
        "Europe/London",
        "columns = -, value, -, -\n"
        "timezone = Etc/UTC\n"
        "timestamp_columns = 2\n"
        "timestamp_format = %m/%d/%y %I:%M:%S %p\n"
        "skip_rows = 2\n"
        "interval = 15m",
        (
            '2023-01-31T10:00:00.000+00:00","value":0.250',
            '2023-01-31T11:15:00.000+00:00","value":0.875',
        ),
        left="another offset in the header: set `timezone`",
    ),
    Form(
        "Campbell Scientific, TOA5",
        "campbell.dat",
        "Campbell Scientific: TOA5 files, in the manual of LoggerNet",
        'four lines of header; `"NAN"`',
        "Etc/UTC",
        "columns = -, value\nskip_rows = 4\nmissing = nan\nempty_rows = skip\ninterval = 15m",
        (
            '2023-01-31T10:00:00.000+00:00","value":40.0',
            '2023-01-31T11:15:00.000+00:00","value":47.5',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "Shelly EM",
        "shelly.csv",
        "Shelly EM: energy data as CSV",
        "UTC in the name of the column; minimum and maximum of the voltage",
        "Europe/Sofia",
        "columns = value, -, -, -\n"
        "timezone = Etc/UTC\n"
        "timestamp_format = %Y-%m-%d %H:%M\n"
        "skip_rows = 1\n"
        "interval = 1m",
        (
            '2023-01-31T00:00:00.000+00:00","value":12.5',
            '2023-01-31T00:05:00.000+00:00","value":17.5',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "Fronius Solar.web",
        "fronius.csv",
        "Fronius Solar.web: report saved as CSV",
        "two lines of header, the second with units; an empty column",
        "Europe/Vienna",
        "columns = -, value\n"
        "timestamp_format = %d.%m.%Y %H:%M\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 2\n"
        "interval = 5m",
        (
            '2023-01-31T00:00:00.000+01:00","value":0.250',
            '2023-01-31T00:25:00.000+01:00","value":0.875',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "A column for each meter",
        "wide.csv",
        "Exports of building management systems, with several points",
        "columns with the names of meters",
        "Europe/Berlin",
        "columns = value, -, -\nskip_rows = 1\ninterval = 15m",
        (
            '2023-01-31T00:00:00.000+01:00","value":0.250',
            '2023-01-31T01:15:00.000+01:00","value":0.875',
        ),
        left="only the first column is sent: `swarm split FILE --into FOLDER` makes a file of each",
        is_split=True,
    ),
    Form(
        "A row for each meter and time",
        "long.csv",
        "Exports of meter data management systems, as lists",
        "the same times for each meter",
        refused=(
            "long.csv: several meters in one file: the column 'meter' has 'north', 'south' at the "
            "same time; make a file of each: swarm split long.csv --by meter --into FOLDER"
        ),
        left="`swarm split FILE --by COLUMN --into FOLDER`",
    ),
    Form(
        "Datadis",
        "datadis.csv",
        "Datadis (Spain): consumption as CSV",
        "date and hour apart; hours from 01:00 to 24:00; decimal comma",
        "Europe/Madrid",
        "columns = -, value, -\n"
        "timestamp_columns = 2, 3\n"
        "timestamp_format = %Y/%m/%d %H:%M\n"
        "hour_24 = next_day\n"
        "delimiter = ;\n"
        "decimal = ,\n"
        "skip_rows = 1\n"
        "interval = 1h",
        (
            '2023-01-31T18:00:00.000+01:00","value":0.250',
            '2023-02-01T00:00:00.000+01:00","value":1.000',
        ),
        left="the times are the ends of the intervals",
    ),
    Form(
        "Siemens, trend report",
        "siemens.csv",
        "Siemens Insight and Desigo: trend definition report as CSV",
        "definitions before the data; date and time apart; `No Data`; a footer",
        "America/Chicago",
        "timestamp_columns = 1, 2\n"
        "timestamp_format = %m/%d/%Y %H:%M:%S\n"
        "skip_rows = 7\n"
        "skip_prefixes = ******************************** End of\n"
        "missing = no data\n"
        "empty_rows = skip\n"
        "interval = 15m",
        (
            '2023-01-31T10:00:00.000-06:00","value":40.00',
            '2023-01-31T11:30:00.000-06:00","value":49.00',
        ),
        left="check the line that is left out",
    ),
    Form(
        "Excel, thousands separators",
        "excel-us.csv",
        "Microsoft Excel: Save as CSV, with cells formatted with a 1000 separator",
        "quoted numbers such as `1,000.5`; AM/PM",
        "America/New_York",
        "timestamp_format = %m/%d/%Y %I:%M %p\nthousands = ,\nskip_rows = 1\ninterval = 15m",
        (
            '2023-01-31T11:00:00.000-05:00","value":998.5',
            '2023-01-31T12:15:00.000-05:00","value":1002',
        ),
        left="",
    ),
    Form(
        "ENTSO-E, web export",
        "entsoe-web.csv",
        "ENTSO-E Transparency Platform: Total Load, export as CSV",
        "beginning and end in one cell; a forecast beside the load",
        "Europe/Brussels",
        "columns = -, value\ntimestamp_format = %d.%m.%Y %H:%M - *\nskip_rows = 1\ninterval = 1h",
        (
            '2023-01-31T00:00:00.000+01:00","value":9010',
            '2023-01-31T05:00:00.000+01:00","value":9025',
        ),
        left=_CHECK_COLUMN,
    ),
    Form(
        "SCE, Green Button CSV",
        "sce.csv",
        "Southern California Edison, Green Button: Download My Data as CSV",
        "customer's data before the header; beginning and end in one cell, with `to` between them",
        "America/Los_Angeles",
        "columns = value, -\n"
        "timestamp_format = %Y-%m-%d %H:%M:%S to *\n"
        "skip_rows = 10\n"
        "interval = 1h",
        (
            '2023-01-31T00:00:00.000-08:00","value":0.300',
            '2023-01-31T05:00:00.000-08:00","value":0.800',
        ),
        left="",
    ),
    Form(
        "Emoncms",
        "emoncms.csv",
        "OpenEnergyMonitor Emoncms: feed as CSV, with UNIX timestamps",
        "seconds since 1970; no header",
        "Europe/London",
        "timestamp_format = unix\ninterval = 10s",
        (
            '2023-01-31T08:00:00.000+00:00","value":40.0',
            '2023-01-31T08:00:50.000+00:00","value":47.5',
        ),
        left="the time zone is that of the meter",
    ),
    Form(
        "NEM12",
        "nem12.csv",
        "AEMO: Meter Data File Format, NEM12",
        "records of several kinds; a line for each day",
        refused="nem12.csv: NEM12: a line for each day, with a cell for each interval; convert it",
        left="convert it to a list",
    ),
    Form(
        "Half-hours as columns",
        "half-hourly-matrix.csv",
        "UK suppliers: half-hourly data as CSV, 48 columns for each day",
        "a row for each day, a column for each half-hour",
        refused="half-hourly-matrix.csv: a row for each day, with a column for each time of day",
        left="export it as a list",
    ),
    Form(
        "Green Button XML",
        "green-button.xml",
        "NAESB ESPI, Green Button",
        "XML",
        refused="green-button.xml: XML, such as Green Button XML, not a CSV",
        left="download CSV instead",
    ),
    Form(
        "Excel, workbook",
        "workbook.xlsx",
        "Microsoft Excel: xlsx",
        "a zip of XML",
        refused="workbook.xlsx: an Excel or OpenDocument workbook, not a CSV: open it",
        left="save the sheet as CSV UTF-8",
    ),
)
