#!/usr/bin/env python3
"""Search at size, beside its peers, in one run.

Two words that both have to match, within a circle, the best ten and the counts of a facet over all matches, over the Debian package catalogue (some
60,000 documents: name, section, one line of description; places in a city of 30 km are drawn with a fixed seed). Peers: PostgreSQL full text (tsvector
with a GIN index, 'english', ts_rank) through its socket, and SQLite FTS5 (porter, bm25) in process; ours in process, everything on (typing errors,
beginnings, three languages). Each peer answers the same questions twice; the second round counts.

    python3 benches/search.py [--questions 1000] [--keep DIR]

Needs apt-cache, PostgreSQL's programs, cargo. What is absent is said and left out. PostgreSQL runs as `postgres` if this runs as root.
"""

import argparse, glob, math, os, random, re, shutil, sqlite3, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEED = 20261121
LAT, LON = 33.5731, -7.5898
RADIUS_M = 8000
METRES = 111195.0
MARK_P50, MARK_P99 = 0.6, 0.2


def catalogue():
    if not shutil.which("apt-cache"):
        return []
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, errors="replace").stdout
    found = {}
    for record in text.split("\n\n"):
        field = {}
        for line in record.split("\n"):
            if ":" in line and not line.startswith(" "):
                name, value = line.split(":", 1)
                field[name] = re.sub(r"\s+", " ", value).strip()
        if "Package" in field and "Description" in field:
            found[field["Package"]] = (field.get("Section", "none"), field["Description"])
    return [(name, *rest) for name, rest in sorted(found.items())]


def corpus(packages, dice):
    for number, (name, section, description) in enumerate(packages):
        lat = LAT + dice.uniform(-0.135, 0.135)
        lon = LON + dice.uniform(-0.162, 0.162)
        yield number, name, section, description, round(lat, 6), round(lon, 6)


def questions(documents, dice, count):
    """Two different words of one document, so that there is an answer somewhere in the city."""
    asked = []
    while len(asked) < count:
        _, name, _, description, lat, lon = dice.choice(documents)
        words = sorted(set(re.findall(r"[a-z]{3,}", f"{name} {description}".lower())) - {"the", "and", "for", "with", "from", "this"})
        if len(words) >= 2:
            asked.append((" ".join(dice.sample(words, 2)), lat, lon, RADIUS_M))
    return asked


def near(lat, lon, radius_m):
    """The circle in SQL that both peers understand: a box, then the distance."""
    turn = math.cos(math.radians(lat))
    high, wide = radius_m / METRES, radius_m / METRES / turn
    squared = f"((lat - {lat}) * (lat - {lat}) + (lon - {lon}) * (lon - {lon}) * {turn * turn})"
    return f"lat BETWEEN {lat - high} AND {lat + high} AND lon BETWEEN {lon - wide} AND {lon + wide} AND {squared} <= {high * high}"


def postgres(folder, documents, asked):
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found or not shutil.which("psql"):
        return None
    programs = found[-1]
    home = os.path.join(folder, "postgres")
    os.makedirs(home)
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(home, "postgres")
        os.chmod(folder, 0o755)

    def run(*command, **how):
        command = (["runuser", "-u", "postgres", "--"] if is_root else []) + list(command)
        return subprocess.run(command, check=True, cwd=home, text=True, capture_output=True, **how).stdout

    data = os.path.join(home, "data")
    run(f"{programs}/initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-U", "postgres")
    run(f"{programs}/pg_ctl", "-D", data, "-w", "-l", f"{home}/log", "-o", f"-c listen_addresses='' -k {home}", "start")
    try:
        psql = ["psql", "-h", home, "-U", "postgres", "-q", "-X", "-v", "ON_ERROR_STOP=1"]
        rows = "".join("\t".join(str(part).replace("\\", "\\\\") for part in row) + "\n" for row in documents)
        run(*psql, "-c", "CREATE TABLE docs (id int PRIMARY KEY, name text, section text, description text, lat float8, lon float8)")
        run(*psql, "-c", "COPY docs FROM STDIN", input=rows)
        run(*psql, "-c", """ALTER TABLE docs ADD COLUMN words tsvector GENERATED ALWAYS AS
            (setweight(to_tsvector('english', replace(name, '-', ' ')), 'A') || to_tsvector('english', description)) STORED""")
        run(*psql, "-c", "CREATE INDEX ON docs USING gin (words)")
        run(*psql, "-c", "VACUUM ANALYZE docs")
        script = ["\\o /dev/null", "\\timing on"]
        for _ in range(2):
            for text, lat, lon, radius_m in asked:
                words = "plainto_tsquery('english', '%s')" % text
                script.append(f"""WITH hits AS MATERIALIZED (SELECT id, name, section, ts_rank(words, {words}) AS rank FROM docs
                    WHERE words @@ {words} AND {near(lat, lon, radius_m)})
                    SELECT (SELECT json_agg(best) FROM (SELECT * FROM hits ORDER BY rank DESC, id LIMIT 10) best),
                           (SELECT json_agg(facet) FROM (SELECT section, count(*) FROM hits GROUP BY section) facet), (SELECT count(*) FROM hits);""")
        output = run(*psql, input="\n".join(line.replace("\n", " ") for line in script))
        times = [float(ms) * 1000 for ms in re.findall(r"Time: ([0-9.]+) ms", output)]
        assert len(times) == 2 * len(asked), f"{len(times)} times for {len(asked)} questions"
        return times[len(asked):]
    finally:
        run(f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop")


def sqlite(folder, documents, asked):
    store = sqlite3.connect(os.path.join(folder, "fts5.db"))
    store.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, name TEXT, section TEXT, lat REAL, lon REAL)")
    store.execute("CREATE VIRTUAL TABLE words USING fts5 (name, description, tokenize = 'porter unicode61')")
    store.executemany("INSERT INTO docs VALUES (?, ?, ?, ?, ?)", ((d[0], d[1], d[2], d[4], d[5]) for d in documents))
    store.executemany("INSERT INTO words (rowid, name, description) VALUES (?, ?, ?)", ((d[0], d[1], d[3]) for d in documents))
    store.execute("INSERT INTO words (words) VALUES ('optimize')")
    store.commit()
    times, totals = [], []
    for round in range(2):
        for text, lat, lon, radius_m in asked:
            first, second = text.split(" ")
            started = time.perf_counter()
            rows = store.execute(
                f"""WITH hits AS MATERIALIZED (SELECT docs.id, docs.name, section, bm25(words, 2.0, 1.0) AS rank FROM words JOIN docs ON docs.id = words.rowid
                    WHERE words MATCH ? AND {near(lat, lon, radius_m)})
                    SELECT (SELECT json_group_array(json_array(id, name, rank)) FROM (SELECT * FROM hits ORDER BY rank, id LIMIT 10)),
                           (SELECT json_group_array(json_array(section, n)) FROM (SELECT section, count(*) AS n FROM hits GROUP BY section)),
                           (SELECT count(*) FROM hits)""", (f'"{first}" AND "{second}"',)).fetchall()
            if round == 1:
                times.append((time.perf_counter() - started) * 1e6)
                totals.append(rows[0][2])
    return times, totals


def ours(folder):
    subprocess.run(["cargo", "bench", "-q", "-p", "index", "--bench", "search"], check=True, cwd=ROOT, env=os.environ | {"MEDINA_SEARCH": folder})
    with open(os.path.join(folder, "medina.tsv")) as lines:
        rows = [[float(part) for part in line.split("\t")] for line in lines]
    return [list(column) for column in zip(*rows)]


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def show(name, times):
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    print(f"{name:44} p50 {p50:9.0f} us   p90 {percentile(times, 0.9):9.0f} us   p99 {p99:9.0f} us", flush=True)
    return p50, p99


def measure(folder, count):
    packages = catalogue()
    if len(packages) < 10_000:
        print("search: SKIPPED, apt-cache knows no catalogue here")
        return 0
    dice = random.Random(SEED)
    documents = list(corpus(packages, dice))
    asked = questions(documents, dice, count)
    for name, rows in (("corpus.tsv", documents), ("questions.tsv", asked)):
        with open(os.path.join(folder, name), "w") as file:
            file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
    print(f"{len(documents)} documents, {len(asked)} questions, radius {RADIUS_M} m", flush=True)
    complete, totals, open_, _ = ours(folder)
    fts5, peer_totals = sqlite(folder, documents, asked)
    pg = postgres(folder, documents, asked)
    p50, p99 = show("medina, both words complete", complete)
    show("medina, the last word may go on", open_)
    _, peer_p99 = show("SQLite FTS5", fts5)
    least = sum(ours >= theirs for ours, theirs in zip(totals, peer_totals))
    print(f"medina finds at least what SQLite finds in {least} of {len(asked)} questions; {sum(totals) / len(asked):.1f} against {sum(peer_totals) / len(asked):.1f} matches")
    print(f"p99 against SQLite:     {p99 / peer_p99:.2f} (mark {MARK_P99})")
    if pg is None:
        print("PostgreSQL: SKIPPED, its programs are not here")
        return 0
    peer_p50, _ = show("PostgreSQL full text, GIN", pg)
    print(f"p50 against PostgreSQL: {p50 / peer_p50:.2f} (mark {MARK_P50})")
    return 0 if p50 <= MARK_P50 * peer_p50 and p99 <= MARK_P99 * peer_p99 else 1


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--questions", type=int, default=1000)
    asked.add_argument("--keep", help="leave the corpus, questions and times in this folder, which must be new")
    asked = asked.parse_args()
    if asked.keep:
        os.makedirs(asked.keep)
        return measure(os.path.abspath(asked.keep), asked.questions)
    with tempfile.TemporaryDirectory() as folder:
        return measure(folder, asked.questions)


sys.exit(main())
