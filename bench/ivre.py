#!/usr/bin/env python3
"""Puts the same questions about the same hosts to IVRE (PostgreSQL backend) and to Kenshin.

    bench/ivre.py --kenshin target/release/kenshin --hosts 1000000 --import 20000

Makes up what nmap would say of so many hosts of 10.0.0.0/8, from a seed: ports, products and versions by Zipf's
law, one to four open ports a host. Nothing is sent anywhere. Both read the same file: IVRE by `scan2db` and `db2view`,
Kenshin by `survey import` and by making its current view. Then each is asked for its most frequent ports, products and
versions, and for hosts: IVRE by its own interface within one process, Kenshin by HTTP. The quietest of three counts, and
no start of a program does. Both keep what was asked before in memory as they come.

IVRE takes some sixteen to fifty hosts a second. With `--import` it imports only so many of the hosts; the others, which are
the same over and over at other addresses, are added to the tables of its view by SQL, which it is not charged for. So both hold
all hosts when they are asked; rates of importing are of what each imported.

It needs Python with venv, IVRE from PyPI, and PostgreSQL's server. IVRE is free software under the GPL 3: it is
installed into a folder of its own, run as a program of its own and deleted with it; nothing of it is part of Kenshin.
"""

import argparse
import datetime
import glob
import http.client
import itertools
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROUNDS = 3
NOBODY = 65534
PORTS = [(80, "http"), (443, "http"), (22, "ssh"), (23, "telnet"), (8080, "http"), (21, "ftp"), (2222, "ssh"), (25, "smtp")]
# Of each service what nmap calls it, what Kenshin calls it, and how it says so itself.
PRODUCTS = {
    "http": [("nginx", "nginx", "nginx/{}"), ("Apache httpd", "HTTP Server", "Apache/{}"),
             ("lighttpd", "lighttpd", "lighttpd/{}"), ("Boa", "Boa", "Boa/{}")],
    "ssh": [("OpenSSH", "OpenSSH", "SSH-2.0-OpenSSH_{}"), ("Dropbear sshd", "Dropbear SSH", "SSH-2.0-dropbear_{}")],
    "telnet": [("BusyBox telnetd", "BusyBox", "BusyBox v{} login:")],
    "ftp": [("vsftpd", "vsftpd", "220 (vsFTPd {})"), ("ProFTPD", "ProFTPD", "220 ProFTPD {} Server (files) [10.0.0.1]")],
    "smtp": [("Exim smtpd", "Exim", "220 mail.example ESMTP Exim {} Thu, 26 Nov 2026 02:32:59 +0000")],
}
# Asked of IVRE, by its own interface.
ASKED = """
import json, sys, time
from ivre.db import db
view = db.view


def top(field):
    # A port comes with its protocol, and a product with its service.
    found = [(v["_id"], v["count"]) for v in view.topvalues(field, topnbr=20)]
    return [[str(v[-1] if isinstance(v, (tuple, list)) else v), n] for v, n in found]


questions = {
    "hosts": lambda: view.count(view.flt_empty),
    "top 20 ports": lambda: top("port"),
    "top 20 products": lambda: top("product"),
    "top 20 versions of one product": lambda: top("version:http:nginx"),
    "hosts with telnet open": lambda: view.count(view.searchport(23)),
    "hosts with one product": lambda: view.count(view.searchproduct("Dropbear sshd")),
    "hosts of one /24": lambda: view.count(view.searchnet("10.0.7.0/24")),
    "one host": lambda: len(list(view.get(view.searchhost("10.0.7.7")))),
}
for line in sys.stdin:
    begun = time.perf_counter()
    answer = questions[json.loads(line)]()
    print(json.dumps({"seconds": time.perf_counter() - begun, "answer": answer}), flush=True)
"""


def zipf(rng, values):
    return rng.choices(values, [1 / n for n in range(1, len(values) + 1)])[0]


def addresses():
    """Of 10.0.0.0/8, one behind the other."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in itertools.count())


def write_scan(path, hosts, seed, period):
    """What nmap would say; after each period the same again, at other addresses."""
    rng = random.Random(seed)
    versions = [f"{major}.{minor}.3" for major in range(4, 0, -1) for minor in range(9, -1, -1)]
    now = 1_790_000_000
    with open(path, "w", encoding="ascii") as out:
        out.write('<?xml version="1.0"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner="nmap" args="nmap -sV -oX -" '
                  f'start="{now}" version="7.93" xmloutputversion="1.05">\n'
                  '<scaninfo type="connect" protocol="tcp" numservices="8" services="21-23,25,80,443,2222,8080"/>\n')
        for number, addr in enumerate(itertools.islice(addresses(), hosts)):
            if number % period == 0:
                rng = random.Random(seed)
            ports = {zipf(rng, PORTS) for _ in range(rng.randint(1, 4))}
            out.write(f'<host starttime="{now}" endtime="{now + 9}"><status state="up" reason="user-set" reason_ttl="0"/>\n'
                      f'<address addr="{addr}" addrtype="ipv4"/>\n<hostnames>\n</hostnames>\n<ports>')
            for port, service in sorted(ports):
                product, _, says = zipf(rng, PRODUCTS[service])
                version = zipf(rng, versions)
                script = "http-server-header" if service == "http" else "banner"
                out.write(f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="64"/>'
                          f'<service name="{service}" product="{product}" version="{version}" method="probed" conf="10"/>'
                          f'<script id="{script}" output="{says.format(version)}"/></port>\n')
            out.write("</ports>\n</host>\n")
        out.write(f'<runstats><finished time="{now + 60}" elapsed="60" exit="success"/>'
                  f'<hosts up="{hosts}" down="0" total="{hosts}"/></runstats>\n</nmaprun>\n')


def timed(command, **more):
    """Runs a command; gives its seconds and what it says."""
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    seconds = time.perf_counter() - begun
    # Kenshin says by 1 that nothing is found.
    if done.returncode not in (0, 1):
        sys.exit(f"{command}: {done.returncode}\n{done.stderr[-2000:]}")
    return seconds, done.stdout


class Postgres:
    """A server on a socket in a folder, run by nobody, as it comes but for its memory."""

    def __init__(self, folder):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
        if not os.path.exists(f"{found[-1]}/initdb"):
            sys.exit("PostgreSQL's server (initdb, postgres) is not installed")
        self.bin, self.folder = found[-1], f"{folder}/postgres"
        os.mkdir(self.folder)
        as_nobody = {}
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            os.chmod(folder, 0o755)
            as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        data = f"{self.folder}/data"
        subprocess.run([f"{self.bin}/initdb", "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8"], check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder, **as_nobody)
        settings = ["-c", "listen_addresses=", "-c", "shared_buffers=1GB", "-c", "work_mem=64MB"]
        self.server = subprocess.Popen([f"{self.bin}/postgres", "-D", data, "-k", self.folder, *settings],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, **as_nobody)
        for _ in range(100):
            if subprocess.run([f"{self.bin}/createdb", "-h", self.folder, "-U", "bench", "ivre"],
                              stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("PostgreSQL does not start")

    def size(self):
        sql = "SELECT pg_database_size('ivre')"
        told = subprocess.check_output([f"{self.bin}/psql", "-h", self.folder, "-U", "bench", "-Atc", sql, "ivre"])
        return int(told)

    def sql(self, text):
        command = [f"{self.bin}/psql", "-h", self.folder, "-U", "bench", "-v", "ON_ERROR_STOP=1", "-qAtc", text, "ivre"]
        return subprocess.check_output(command, text=True)

    def repeat(self, hosts, until):
        """Adds to IVRE's view what it holds of so many hosts again and again, at the addresses behind, until there are enough."""
        columns = {}
        for table, column in re.findall(r"(\w+)\|(\w+)", self.sql(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_name LIKE 'v\\_%'")):
            columns.setdefault(table, []).append(column)
        scans, ports, tags = (int(self.sql(f"SELECT coalesce(max(id), 0) FROM {t}")) for t in ("v_scan", "v_port", "v_tag"))
        held = {table: int(self.sql(f"SELECT count(*) FROM {table}")) for table in columns}
        known = {"v_scan", "v_port", "v_tag", "v_script", "v_association_scan_category", "v_category"}
        others = [table for table, rows in held.items() if rows and table not in known]
        if others:
            sys.exit(f"IVRE keeps rows in {others}, which this bench does not know")
        shifts = {("v_scan", "id"): scans, ("v_scan", "addr"): hosts, ("v_port", "id"): ports, ("v_port", "scan"): scans,
                  ("v_tag", "id"): tags, ("v_tag", "scan"): scans, ("v_script", "port"): ports,
                  ("v_association_scan_category", "scan"): scans}
        for table in ("v_scan", "v_association_scan_category", "v_port", "v_tag", "v_script"):
            if held[table] == 0:
                continue
            cells = [f"{name} + {shifts[table, name]}::bigint * k" if (table, name) in shifts else name for name in columns[table]]
            self.sql(f"INSERT INTO {table} ({', '.join(columns[table])}) SELECT {', '.join(cells)} FROM {table}, "
                     f"generate_series(1, {until // hosts - 1}) AS k")
        self.sql("VACUUM ANALYZE")

    def version(self):
        return subprocess.check_output([f"{self.bin}/postgres", "--version"], text=True).split()[2]

    def stop(self):
        self.server.send_signal(2)
        self.server.wait()


def folder_size(folder):
    return sum(os.path.getsize(f"{at}/{name}") for at, _, names in os.walk(folder) for name in names)


def ivre(folder, scan, hosts, until):
    python = f"{folder}/python"
    subprocess.run([sys.executable, "-m", "venv", python], check=True)
    packages = ["ivre", "sqlalchemy<2", "psycopg2-binary"]
    subprocess.run([f"{python}/bin/pip", "install", "--quiet", *packages], check=True)
    postgres = Postgres(folder)
    try:
        with open(f"{folder}/ivre.conf", "w", encoding="ascii") as out:
            out.write(f'DB = "postgresql://bench@/ivre?host={postgres.folder}"\n')
        environment = {**os.environ, "HOME": folder, "IVRE_CONF": f"{folder}/ivre.conf"}
        run = {"env": environment, "cwd": folder, "stdin": subprocess.DEVNULL}
        program = f"{python}/bin/ivre"
        for purpose in ("scancli", "view"):
            timed([program, purpose, "--init"], **run)
        figures = {}
        seconds, _ = timed([program, "scan2db", "-s", "bench", "-c", "bench", scan], **run)
        figures["hosts imported a second"] = hosts / seconds
        seconds, _ = timed([program, "db2view", "nmap"], **run)
        figures["hosts put into the view a second"] = hosts / seconds
        figures["bytes of a host"] = postgres.size() / hosts
        if until > hosts:
            postgres.repeat(hosts, until)
        asked = subprocess.Popen([f"{python}/bin/python", "-c", ASKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, env=environment, cwd=folder)

        def ask(question):
            asked.stdin.write(json.dumps(question) + "\n")
            asked.stdin.flush()
            told = json.loads(asked.stdout.readline())
            return told["seconds"], told["answer"]

        answers = {}
        quietest(ask, figures, answers)
        asked.stdin.close()
        asked.wait()
        version = subprocess.check_output([f"{python}/bin/pip", "list", "--format=freeze"], text=True)
        version = next(line for line in version.splitlines() if line.startswith("ivre=="))
        return figures, answers, f"{version.replace('==', ' ')}, PostgreSQL {postgres.version()}"
    finally:
        postgres.stop()


# The same of Kenshin: what is searched, and of which field the most frequent values are wanted.
QUESTIONS = {
    "hosts": ("port:>0", None),
    "top 20 ports": ("port:>0", "port"),
    "top 20 products": ("port:>0", "product"),
    "top 20 versions of one product": ("product:nginx", "version"),
    "hosts with telnet open": ("port:23", None),
    "hosts with one product": ('product:"Dropbear SSH"', None),
    "hosts of one /24": ("net:10.0.7.0/24", None),
    "one host": ("ip:10.0.7.7", None),
}


class Served:
    """`kenshin serve`, asked over HTTP."""

    def __init__(self, program, home, password):
        command = [program, "--home", home, "serve", "--no-jobs", "--listen", "127.0.0.1:0"]
        self.server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = (re.match(r"serving on http://(\S+)", line) for line in self.server.stderr)
        self.connection = http.client.HTTPConnection(next(filter(None, said))[1])
        account = json.dumps({"login": "admin", "password": password})
        self.connection.request("POST", "/api/v1/session", account, {"content-type": "application/json"})
        told = self.connection.getresponse()
        told.read()
        self.cookie = told.getheader("set-cookie").split(";")[0]

    def ask(self, question):
        query, field = QUESTIONS[question]
        words = {"q": query, "limit": 1} if field is None else {"q": query, "fields": f"{field}:20"}
        path = "search" if field is None else "search/facets"
        begun = time.perf_counter()
        self.connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(words)}", headers={"cookie": self.cookie})
        told = json.loads(self.connection.getresponse().read())
        seconds = time.perf_counter() - begun
        if field is None:
            return seconds, told["total"]["hosts"]
        return seconds, [[value["value"], value["count"]] for value in told["facets"][0]["values"]]

    def stop(self):
        self.server.terminate()
        self.server.wait()


def alike(answer):
    """An answer without names and the order of what is as frequent."""
    if not isinstance(answer, list):
        return answer
    names = {theirs: ours for products in PRODUCTS.values() for theirs, ours, _ in products}
    # Of those that are as frequent as the last, each may have cut off others.
    last = answer[-1][1] if len(answer) == 20 else 0
    return sorted((-n, names.get(str(value), str(value))) for value, n in answer if n > last)


def quietest(ask, figures, answers):
    for question in QUESTIONS:
        rounds = [ask(question) for _ in range(ROUNDS)]
        figures[question], answers[question] = min(seconds for seconds, _ in rounds), rounds[0][1]


def kenshin(folder, scan, program, hosts):
    home = f"{folder}/home"
    _, told = timed([program, "--home", home, "init", "--organisation", "Bench"])
    password = re.search(r"^password +(\S+)", told, re.MULTILINE)[1]
    figures, answers = {}, {}
    seconds, _ = timed([program, "--home", home, "survey", "import", "--as", "nmap-xml", scan])
    figures["hosts imported a second"] = hosts / seconds
    seconds, _ = timed([program, "--home", home, "lake", "rebuild"])
    figures["hosts put into the view a second"] = hosts / seconds
    figures["bytes of a host"] = folder_size(home) / hosts
    served = Served(program, home, password)
    try:
        quietest(served.ask, figures, answers)
    finally:
        served.stop()
    version = subprocess.check_output([program, "--version"], text=True).strip()
    return figures, answers, version


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--kenshin", required=True, help="the program, built as it is released")
    options.add_argument("--hosts", type=int, default=10_000)
    options.add_argument("--import", type=int, dest="imported", help="of these, how many IVRE imports itself (all)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", help="where to work; deleted afterwards")
    options = options.parse_args()
    program = os.path.abspath(options.kenshin)
    imported = options.imported or options.hosts
    if options.hosts % imported:
        sys.exit("--hosts must be a multiple of --import")
    with tempfile.TemporaryDirectory(prefix="kenshin-ivre-", dir=options.folder) as folder:
        scan, part = f"{folder}/scan.xml", f"{folder}/part.xml"
        write_scan(scan, options.hosts, options.seed, imported)
        write_scan(part, imported, options.seed, imported)
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        print(f"{now}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}")
        print(f"{options.hosts:,} hosts, {os.path.getsize(scan):,} bytes of XML, seed {options.seed}; IVRE imported {imported:,}",
              flush=True)
        ours, our_answers, our_version = kenshin(folder, scan, program, options.hosts)
        print(f"load {os.getloadavg()[0]:.2f} when Kenshin was done", flush=True)
        theirs, their_answers, their_version = ivre(folder, part, imported, options.hosts)
        print(f"{our_version}; {their_version}; load {os.getloadavg()[0]:.2f} at the end\n")
        print(f"| {'what':<32} | {'Kenshin':>10} | {'IVRE':>10} | IVRE is slower, times | the same answer |\n|---|--:|--:|--:|---|")
        for what in ours:
            same = ""
            if what in our_answers:
                same = "yes" if alike(our_answers[what]) == alike(their_answers[what]) else "NO"
            is_rate = what.endswith("a second")
            unit = (lambda n: f"{n:.0f}") if what not in our_answers else (lambda n: f"{n:.4f} s")
            ratio = ours[what] / theirs[what] if is_rate else theirs[what] / ours[what]
            print(f"| {what:<32} | {unit(ours[what]):>10} | {unit(theirs[what]):>10} | {ratio:>21.2f} | {same} |")
            if same == "NO":
                print(f"ours {our_answers[what]}\ntheirs {their_answers[what]}", file=sys.stderr)


main()
