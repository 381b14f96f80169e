"""What a synthetic population looks like, seen from its files."""

import hashlib
import re
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

from cohortium_platform.errors import BadInput
from cohortium_platform.synthetic import (
    QOF_RETIREMENT,
    SUPPORT_DISCUSSED,
    Ages,
    Only,
    Progress,
    Synthesised,
    SyntheticOptions,
    SyntheticPractice,
    nhs_numbers_used,
    rural_practices,
    synthesise,
    urban_practices,
)
from cohortium_platform.synthetic.codes import CODELISTS, COMMON, codelist
from cohortium_platform.synthetic.rows import UNITS

TABLES = ("patients", "registrations", "events", "medications", "consultations", "contacts")
RECORDS_TO = date(2025, 11, 30)
LOCAL_CODE = 9_000_001
TRUST = "RZZ99"


class Extract:
    """A written extract, read with DuckDB."""

    def __init__(self, folder: Path, made: Synthesised, options: SyntheticOptions) -> None:
        self.folder, self.made, self.options = folder, made, options
        self.connection = duckdb.connect()
        for table in TABLES:
            if (folder / table).exists():
                self.connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{folder}/{table}/*.parquet')")
        for table in ("patients", "events"):
            if (folder / "trust" / table).exists():
                self.connection.execute(
                    f"CREATE VIEW trust_{table} AS FROM read_parquet('{folder}/trust/{table}/*.parquet')"
                )

    def rows(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()

    def one(self, sql: str):
        return self.rows(sql)[0][0]


def make(folder: Path, **more) -> Extract:
    people = more.pop("people", 12_000)
    options = SyntheticOptions(
        people=people,
        practices=more.pop("practices", urban_practices(people)),
        seed=more.pop("seed", 11),
        course=more.pop("course", QOF_RETIREMENT),
        local_codes={SUPPORT_DISCUSSED: LOCAL_CODE},
        trust=TRUST,
        **more,
    )
    return Extract(folder, synthesise(options, folder), options)


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Extract:
    return make(tmp_path_factory.mktemp("city") / "extract")


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Extract:
    return make(
        tmp_path_factory.mktemp("county") / "extract", practices=rural_practices(12_000), density=12.0, course=None
    )


def in_list(name: str, *categories: str) -> str:
    terms = [term for term in codelist(name) if not categories or term.category in categories]
    return "(" + ", ".join(str(term.code) for term in terms) + ")"


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The same options, the same bytes


def test_the_number_of_workers_changes_nothing(tmp_path):
    for workers in (1, 2):
        make(tmp_path / str(workers), people=3_000, density=20.0, workers=workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_another_seed_gives_another_population(tmp_path):
    for seed in (1, 2):
        make(tmp_path / str(seed), people=1_000, density=5.0, seed=seed)
    assert digests(tmp_path / "1")["patients/Z91001.parquet"] != digests(tmp_path / "2")["patients/Z91001.parquet"]


def test_cancer_only_has_the_same_diagnoses_and_reviews_as_everything(city, tmp_path):
    alone = make(tmp_path / "extract", only=Only.CANCER)
    codes = [in_list(name) for name in ("cancer-diagnosis", "cancer-care-review", "cancer-care-invitation")]
    sql = "SELECT DISTINCT practice, local_id, date, code FROM events WHERE " + " OR ".join(
        f"code IN {some}" for some in codes
    )
    assert set(alone.rows(sql)) == set(city.rows(sql))
    assert alone.one("SELECT count(*) FROM patients") < city.one("SELECT count(*) FROM patients") / 20


def test_progress_is_told_after_every_practice(tmp_path):
    told: list[Progress] = []
    practices = urban_practices(1_000)
    made = synthesise(SyntheticOptions(people=1_000, practices=practices, density=5.0), tmp_path / "x", told.append)
    assert [item.practices for item in told] == list(range(1, len(practices) + 1))
    assert told[-1].events == dict(made.rows)["events"]


# What stands in the folder


def test_the_folder_says_whose_records_these_are(city):
    manifest = yaml.safe_load((city.folder / "extract.yaml").read_text())
    assert manifest["source"] == "gp"
    assert manifest["records_to"] == RECORDS_TO.isoformat()
    assert manifest["practices"] == [practice.code for practice in city.options.practices]
    trust = yaml.safe_load((city.folder / "trust" / "extract.yaml").read_text())
    assert trust == {"source": TRUST, "records_to": RECORDS_TO.isoformat()}


def test_rows_are_as_many_as_told(city):
    for table, count in city.made.rows:
        assert city.one(f"SELECT count(*) FROM {table}") == count


def test_each_file_holds_one_practice(city):
    for table in TABLES:
        for path in (city.folder / table).glob("*.parquet"):
            assert city.rows(f"SELECT DISTINCT practice FROM '{path}'") == [(path.stem,)]


def test_everyone_registered_is_counted_once(city):
    registered = city.one(
        f"""SELECT count(*) FROM registrations JOIN patients USING (practice, local_id)
        WHERE start_date <= DATE '{RECORDS_TO}' AND end_date IS NULL AND date_of_death IS NULL"""
    )
    assert registered == city.made.registered == city.options.people


def test_records_are_about_as_long_as_asked(city, county):
    assert city.one("SELECT count(*) FROM events") / city.one("SELECT count(*) FROM patients") == pytest.approx(
        150, rel=0.2
    )
    assert county.one("SELECT count(*) FROM events") / county.one("SELECT count(*) FROM patients") < 40


def test_units_belong_to_values(city):
    assert city.one("SELECT count(*) FROM events WHERE (value IS NULL) <> (unit IS NULL)") == 0
    assert {unit for (unit,) in city.rows("SELECT DISTINCT unit FROM events WHERE unit IS NOT NULL")} == set(UNITS)


def test_values_are_plausible_but_for_a_few(city):
    for name, low, high in (
        ("bmi-value", 10, 100),
        ("blood-pressure-systolic", 50, 300),
        ("hba1c", 10, 250),
        ("body-height", 40, 220),
    ):
        wrong = city.one(
            f"SELECT avg((value NOT BETWEEN {low} AND {high})::INT) FROM events WHERE code IN {in_list(name)}"
        )
        assert wrong < 0.001


def test_episode_types_come_from_most_practices_only(city):
    with_type = city.rows("SELECT practice, count(episode) > 0 FROM events GROUP BY practice")
    assert 0 < sum(has for _, has in with_type) < len(with_type)
    assert {kind for (kind,) in city.rows("SELECT DISTINCT episode FROM events")} == {None, "first", "new", "review"}


# People


def test_city_people_are_younger_more_mixed_and_poorer_than_county_people(city, county):
    def share(extract: Extract, condition: str) -> float:
        return extract.one(f"SELECT avg(({condition})::INT) FROM patients WHERE date_of_death IS NULL")

    old = f"date_of_birth <= DATE '{RECORDS_TO}' - INTERVAL 65 YEAR"
    assert 0.07 < share(city, old) < 0.15
    assert 0.2 < share(county, old) < 0.29
    assert share(city, "ethnicity = 'A'") < 0.65
    assert share(county, "ethnicity = 'A'") > 0.8
    assert share(city, "imd_decile <= 2") > share(county, "imd_decile <= 2") + 0.05
    assert 0.46 < share(city, "sex = 'male'") < 0.53


def test_people_come_leave_and_die(city):
    assert city.one("SELECT count(*) FROM patients WHERE date_of_death IS NOT NULL") > 0.005 * city.options.people
    left = "SELECT count(*) FROM registrations JOIN patients USING (practice, local_id) WHERE end_date IS NOT NULL"
    assert city.one(left + " AND date_of_death IS NULL") > 0.03 * city.options.people
    new = f"SELECT count(*) FROM registrations WHERE start_date > DATE '{RECORDS_TO}' - INTERVAL 1 YEAR"
    assert 0.03 < city.one(new) / city.options.people < 0.1
    assert city.one("SELECT count(*) FROM registrations WHERE end_date < start_date") == 0


def movers(extract: Extract) -> list[tuple]:
    return extract.rows(
        """
        SELECT old.practice, old.local_id, old.end_date, new.practice, new.local_id, new.start_date
        FROM (SELECT * FROM patients JOIN registrations USING (practice, local_id)) old
        JOIN (SELECT * FROM patients JOIN registrations USING (practice, local_id)) new
          ON old.nhs_number = new.nhs_number AND old.practice <> new.practice AND old.start_date < new.start_date
        """
    )


def test_someone_who_moves_stands_in_both_extracts(city):
    found = movers(city)
    assert 0.02 < len(found) / city.options.people < 0.04
    assert all(ended + timedelta(days=1) == began for _, _, ended, _, _, began in found)


def test_the_new_practice_has_the_whole_record_and_the_old_one_nothing_after_the_move(city):
    for table, column in (
        ("events", "code"),
        ("medications", "code"),
        ("consultations", "kind"),
        ("contacts", "value"),
    ):
        seen = Counter()
        for old_practice, old_id, ended, new_practice, new_id, _ in movers(city)[:40]:
            old, new = (
                Counter(
                    city.rows(
                        f"SELECT date, {column} FROM {table} WHERE practice = '{practice}' AND local_id = '{local_id}'"
                    )
                )
                for practice, local_id in ((old_practice, old_id), (new_practice, new_id))
            )
            assert all(day <= ended for day, _ in old)
            assert old == Counter({row: count for row, count in new.items() if row[0] <= ended})
            seen.update(old=old.total(), new=new.total())
        assert 0 < seen["old"] < seen["new"]


# Identities


def check_digit(stem: str) -> int:
    """The NHS number's own rule: weights 10 to 2, eleven minus the remainder, 11 counts as 0, 10 is not used."""
    return (11 - sum(int(digit) * weight for digit, weight in zip(stem, range(10, 1, -1), strict=True)) % 11) % 11


def test_nhs_numbers_are_test_numbers_with_a_right_check_digit_but_for_a_few(city):
    numbers = [number for (number,) in city.rows("SELECT nhs_number FROM patients")]
    given = [number for number in numbers if number is not None]
    wrong = [number for number in given if check_digit(number[:9]) != int(number[9])]
    assert all(re.fullmatch(r"999\d{7}", number) for number in given)
    assert 0.008 < 1 - len(given) / len(numbers) < 0.017
    assert 0.001 < len(wrong) / len(numbers) < 0.006
    assert max(Counter(given).values()) == 2, "nobody's number but a mover's occurs twice"


def test_two_tenants_share_no_nhs_number(city, tmp_path):
    other = make(tmp_path / "extract", people=3_000, density=5.0, nhs_numbers_from=nhs_numbers_used(city.options))
    known = {number for (number,) in city.rows("SELECT nhs_number FROM patients WHERE nhs_number IS NOT NULL")}
    assert known.isdisjoint(number for (number,) in other.rows("SELECT nhs_number FROM patients"))


def test_telephones_addresses_and_postcodes_belong_to_nobody(city, county):
    for extract in (city, county):
        for mobile, home, email, postcode, lsoa in extract.rows(
            "SELECT mobile, telephone, email, postcode, lsoa FROM patients LIMIT 2000"
        ):
            assert mobile is None or re.fullmatch(r"07700 900\d{3}", mobile)
            assert home is None or re.fullmatch(r"020 7946 0\d{3}|01632 960\d{3}", home)
            assert email is None or email.endswith("@example.org")
            assert postcode.startswith("ZZ")
            assert re.fullmatch(r"E019\d{5}", lsoa)


def test_most_people_have_a_next_of_kin(city):
    share = city.one("SELECT count(*) FROM contacts") / city.one("SELECT count(*) FROM patients")
    assert share == pytest.approx(0.6, abs=0.03)
    assert city.rows("SELECT DISTINCT kind, relationship FROM contacts") == [("next-of-kin", "N")]


# Illness


def share_with(extract: Extract, name: str, where: str = "true") -> float:
    return extract.one(
        f"""SELECT avg((EXISTS (FROM events e WHERE e.practice = p.practice AND e.local_id = p.local_id
              AND e.code IN {in_list(name)}))::INT)
        FROM patients p WHERE {where}"""
    )


def test_conditions_are_about_as_common_as_in_england(city):
    for name, low, high in (("hypertension", 0.08, 0.2), ("diabetes", 0.035, 0.09), ("asthma", 0.06, 0.13)):
        assert low < share_with(city, name) < high


def test_conditions_grow_with_age_and_come_together(city):
    young, old = (
        f"date_of_birth {sign} DATE '{RECORDS_TO}' - INTERVAL 60 YEAR AND date_of_death IS NULL" for sign in (">", "<")
    )
    assert share_with(city, "hypertension", old) > 5 * share_with(city, "hypertension", young)
    diabetic = f"""{old} AND EXISTS (FROM events e WHERE e.practice = p.practice AND e.local_id = p.local_id
        AND e.code IN {in_list("diabetes")})"""
    assert share_with(city, "hypertension", diabetic) > 1.3 * share_with(city, "hypertension", old)


def test_some_conditions_are_resolved_later(city):
    assert share_with(city, "depression-resolved") > 0.01


def test_cancer_prevalence_and_incidence(tmp_path):
    for name, practices in (("city", urban_practices(100_000)), ("county", rural_practices(100_000))):
        extract = make(tmp_path / name, people=100_000, practices=practices, only=Only.CANCER, course=None)
        members = extract.one(
            f"""SELECT count(DISTINCT (practice, local_id)) FROM events
            JOIN registrations USING (practice, local_id) JOIN patients USING (practice, local_id)
            WHERE code IN {in_list("cancer-diagnosis")} AND date BETWEEN DATE '2003-04-01' AND DATE '{RECORDS_TO}'
              AND end_date IS NULL AND date_of_death IS NULL"""
        )
        assert members == extract.made.cancer
        assert members / 100_000 == pytest.approx(0.028, abs=0.0015)
        new = extract.one(
            f"""SELECT count(*) FROM (SELECT min(date) AS first FROM events
                WHERE code IN {in_list("cancer-diagnosis", "primary")} GROUP BY practice, local_id)
            WHERE first > DATE '{RECORDS_TO}' - INTERVAL 1 YEAR"""
        )
        assert 0.003 < new / 100_000 < 0.006


def test_sites_go_with_sex_and_cancer_patients_are_old(city):
    sites = {term.code: term.category for term in codelist("cancer-tumour-site")}
    found = city.rows(
        f"""SELECT sex, code, date_diff('year', date_of_birth, DATE '{RECORDS_TO}') FROM events
        JOIN patients USING (practice, local_id) WHERE code IN {in_list("cancer-diagnosis", "primary")}"""
    )
    assert not [1 for sex, code, _ in found if sex == "male" and sites.get(code) == "gynaecological"]
    assert not [1 for sex, code, _ in found if sex == "female" and sites.get(code) == "prostate"]
    assert 58 < sum(age for _, _, age in found) / len(found) < 75
    assert {"breast", "prostate", "colorectal", "lung"} <= {sites.get(code) for _, code, _ in found}


def test_the_trust_supplies_summaries_of_patients_that_practices_have(city):
    wanted = in_list("cancer-end-of-treatment-summary"), in_list("cancer-holistic-needs-assessment")
    assert city.one(f"SELECT count(*) FROM trust_events WHERE code NOT IN {wanted[0]} AND code NOT IN {wanted[1]}") == 0
    assert city.one("SELECT count(*) FROM trust_events") > 20
    unknown = "SELECT count(*) FROM trust_patients t ANTI JOIN patients p USING (nhs_number, date_of_birth)"
    assert city.one(unknown) == 0
    assert city.one("SELECT count(*) FROM trust_events ANTI JOIN trust_patients USING (local_id)") == 0


# Faults put in on purpose


def verhoeff_is_right(code: int) -> bool:
    """SNOMED CT's check digit, by its published tables."""
    multiply = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ]
    permute = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ]
    total = 0
    for place, digit in enumerate(reversed(str(code))):
        total = multiply[total][permute[place % 8][int(digit)]]
    return total == 0


def test_nothing_stands_before_birth_or_after_death_but_the_deliberate(city):
    joined = "FROM events JOIN patients USING (practice, local_id) WHERE "
    early = city.rows("SELECT DISTINCT date " + joined + "date < date_of_birth")
    assert early == [(date(1900, 1, 1),)]
    late = city.one(f"SELECT count(*) {joined} date > date_of_death AND date <= DATE '{RECORDS_TO}'")
    assert late == 0
    for table in ("medications", "consultations", "contacts"):
        wrong = f"SELECT count(*) FROM {table} JOIN patients USING (practice, local_id) WHERE date < date_of_birth"
        assert city.one(wrong) == 0


def test_faults_are_as_many_as_told_and_realistic(city):
    events = city.one("SELECT count(*) FROM events")
    faults = city.made.faults
    future = city.one(f"SELECT count(*) FROM events WHERE date > DATE '{RECORDS_TO}'")
    # Movers' rows stand in two extracts and are told once; an old practice never has a row from the future.
    assert 0 < faults.future <= future < faults.future * 1.05 + 5
    for count, share in (
        (faults.duplicates, 0.003),
        (faults.future, 0.0002),
        (faults.unknown, 0.0005),
        (faults.impossible, 0.0001),
    ):
        assert 0.7 * share < count / events < 1.3 * share
    repeated = city.one(
        """SELECT count(*) - count(DISTINCT (practice, local_id, date, code, value, unit, episode)) FROM events"""
    )
    assert repeated >= faults.duplicates


def test_every_code_is_valid_but_the_unknown_and_the_tenants_own(city):
    codes = dict(city.rows("SELECT code, count(*) FROM events GROUP BY code"))
    wrong = {code: count for code, count in codes.items() if not verhoeff_is_right(code)}
    assert wrong.pop(LOCAL_CODE, 0) > 0
    assert all(str(code)[-10:-1] == "100000610" for code in wrong)
    assert sum(wrong.values()) >= city.made.faults.unknown


# Codelists, options


def test_common_codes_stand_in_their_lists():
    for name, codes in COMMON.items():
        assert set(codes) <= {term.code for term in codelist(name)}


def test_every_codelist_names_its_source():
    sources = (CODELISTS / "SOURCES.md").read_text()
    for path in CODELISTS.glob("*.csv"):
        assert f"`{path.name}`" in sources
        assert all(verhoeff_is_right(term.code) for term in codelist(path.stem))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"people": 10}, "people must be from"),
        ({"density": 0.0}, "density must be from"),
        ({"practices": ()}, "at least one"),
        ({"practices": (SyntheticPractice("Z1", "A"), SyntheticPractice("Z1", "B"))}, "twice"),
        ({"workers": 0}, "workers must be"),
        ({"cancer_prevalence": 0.5}, "cancer_prevalence must be"),
        ({"local_codes": {"something-else": 1}}, "local_codes"),
        ({"course": QOF_RETIREMENT}, "local_codes must give cancer-support-discussed"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, wrong, says):
    options = SyntheticOptions(**({"people": 1_000, "practices": (SyntheticPractice("Z1", "A"),)} | wrong))
    with pytest.raises(BadInput, match=says):
        synthesise(options, tmp_path / "extract")
    assert not (tmp_path / "extract").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="not empty"):
        synthesise(SyntheticOptions(people=1_000, practices=(SyntheticPractice("Z1", "A"),)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_one_practice_alone_has_no_movers(tmp_path):
    extract = make(tmp_path / "x", people=1_000, density=5.0, practices=(SyntheticPractice("Z1", "A", ages=Ages.OLD),))
    assert extract.made.people == extract.one("SELECT count(*) FROM patients")


# Memory

MEASURE = """
import resource, sys
from pathlib import Path
from cohortium_platform.synthetic import SyntheticOptions, SyntheticPractice, synthesise
if __name__ == "__main__":
    people = int(sys.argv[1])
    practices = tuple(SyntheticPractice(f"Z{number}", "A") for number in range(2))
    synthesise(SyntheticOptions(people=people, practices=practices, workers=2), Path(sys.argv[2]))
    # Not RUSAGE_SELF, which holds what the process that started this one took as well.
    own = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
    print(own + 2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kib(folder: Path, people: int) -> int:
    script = folder / "measure.py"
    script.write_text(MEASURE)
    done = subprocess.run(
        [sys.executable, str(script), str(people), str(folder / str(people))],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.slow
def test_memory_stays_bounded_and_does_not_grow_with_the_population(tmp_path):
    """Two practices of 5,000 and of 15,000 people: the larger one takes no more, since work goes block by block."""
    small, large = peak_kib(tmp_path, 10_000), peak_kib(tmp_path, 30_000)
    assert large < 1.5 * 2**20
    assert large < 1.25 * small
