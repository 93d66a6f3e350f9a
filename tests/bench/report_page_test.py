"""The page of caisson bench --html in a real browser: no complaint, nothing loaded, no sideways scrolling, light and dark, wide and narrow.

Leaves screenshots in the folder $SCREENSHOTS. Skipped where there is no Chromium.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import browser  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CAISSON = os.environ.get("CAISSON", str(ROOT / "build/release/bin/caisson"))
SCREENSHOTS = pathlib.Path(os.environ.get("SCREENSHOTS", ROOT / "build/bench/screenshots"))
WIDTHS = (1280, 390)
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>'

OPEN_ALL = "document.querySelectorAll('details').forEach(box => box.open = true)"
LUMINANCE = """(() => {
  const parse = text => text.match(/[\\d.]+/g).slice(0, 3).map(part => { const c = part / 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
  const luminance = text => { const [r, g, b] = parse(text); return .2126 * r + .7152 * g + .0722 * b; };
  const section = getComputedStyle(document.querySelector('section'));
  return [luminance(section.backgroundColor), luminance(section.color)];
})()"""


def bench(*words, status=0):
    done = subprocess.run([CAISSON, "bench", *map(str, words)], capture_output=True, text=True, timeout=240, check=False)
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}: {done.stderr}")
    return done.stdout


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program = browser.find()
        if program is None:
            raise unittest.SkipTest("no Chromium in PATH: Debian's package chromium has one")
        owner = tempfile.TemporaryDirectory(prefix="caisson-page-")
        cls.addClassCleanup(owner.cleanup)
        cls.folder = pathlib.Path(owner.name)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        cls.now, cls.before, cls.page = (cls.folder / name for name in ("now.json", "before.json", "report.html"))
        bench("recurse,ptcache,raw", "--filter=c", "--runs=7", f"--json={cls.now}")
        # An earlier run that was quicker in one row and slower in another, and that tries to be markup.
        report = json.loads(cls.now.read_text())
        report["yardstick"] = {"median": 1e6, "low": 1e6, "high": 1e6, "samples": 1}  # as if the machine were a quiet one
        cls.now.write_text(json.dumps(report))
        for row in report["rows"]:
            factor = {("ptcache", "baseline"): 0.05, ("ptcache", "interp"): 20}.get((row["suite"], row["engine"]), 1)
            for key in ("median", "min", "max", "low", "high"):
                row[key] *= factor
        report["version"] = HOSTILE
        cls.before.write_text(json.dumps(report))
        bench(f"--read={cls.now}", f"--compare={cls.before}", f"--html={cls.page}", status=1)
        tab = browser.Browser(program)
        cls.browser = cls.enterClassContext(tab) if hasattr(cls, "enterClassContext") else tab.__enter__()
        if not hasattr(cls, "enterClassContext"):
            cls.addClassCleanup(tab.__exit__)

    def open(self, page, width, scheme):
        self.browser.resize(width)
        self.browser.scheme(scheme)
        self.browser.open(page.as_uri())
        self.browser.settle()
        self.browser.evaluate(OPEN_ALL)
        self.browser.settle()

    def count(self, selector):
        return self.browser.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def test_every_width_and_scheme(self):
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    self.open(self.page, width, scheme)
                    self.assertEqual(self.browser.complaints(), [])
                    self.assertEqual([url for url in self.browser.requests() if url != "data:,"], [self.page.as_uri()])
                    self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width)
                    background, ink = self.browser.evaluate(LUMINANCE)
                    self.assertEqual(background > 0.5, scheme == "light")
                    self.assertGreater((max(background, ink) + 0.05) / (min(background, ink) + 0.05), 7)
                    self.browser.screenshot(SCREENSHOTS / f"report-{width}-{scheme}.png")

    def test_what_the_page_holds(self):
        self.open(self.page, 1280, "light")
        suites = self.browser.evaluate("[...document.querySelectorAll('section')].map(each => each.id)")
        self.assertEqual(suites[0], "changes")
        self.assertEqual(suites[-2:], ["references", "machine"])
        self.assertLessEqual({"suite-recurse", "suite-ptcache", "suite-raw"}, set(suites))
        rows = json.loads(self.now.read_text())["rows"]
        # A mark for each row in the charts of the suites, and the median of each in a table.
        self.assertEqual(self.count("section[id^=suite-] > .pair circle"), len(rows))
        samples = sum(len(row["samples"]) for row in rows if row["metric"] != "allocations")
        self.assertEqual(self.count("details svg circle"), samples)
        # The plotting library, where `make report-plots` put it into the build, adds a chart to each distribution.
        plots = self.browser.evaluate("typeof uPlot") == "function"
        charts = len({(row["suite"], row["case"], row["metric"]) for row in rows if row["metric"] != "allocations"})
        self.assertEqual(self.count(".uplot canvas"), charts if plots else 0)
        self.assertGreaterEqual(self.count("#suite-recurse polyline"), 4)
        self.assertGreaterEqual(self.count("#suite-ptcache polyline"), 4)
        changes = self.browser.evaluate("document.querySelector('#changes').innerText")
        self.assertIn("worse", changes)
        self.assertIn("better", changes)
        self.assertIn("None of them was measured here", self.browser.evaluate("document.querySelector('#references').innerText"))
        off = "[...document.querySelectorAll('circle')].filter(c => !(c.cx.baseVal.value >= 0 && c.cy.baseVal.value >= 0)).length"
        self.assertEqual(self.browser.evaluate(off), 0)

    def test_text_of_a_file_is_never_markup(self):
        report = json.loads(self.now.read_text())
        report["suite"] = [HOSTILE]
        report["rows"] = [dict(row, suite=HOSTILE, case=HOSTILE, engine=HOSTILE, note=HOSTILE) for row in report["rows"][:1]]
        report["absent"] = [{"suite": HOSTILE, "engine": HOSTILE, "reason": HOSTILE}]
        report["path_counters"] = [{"suite": HOSTILE, "case": HOSTILE, "engine": HOSTILE, "text": HOSTILE * 20}]
        file, page = self.folder / "hostile.json", self.folder / "hostile.html"
        file.write_text(json.dumps(report))
        bench(f"--read={file}", f"--html={page}")
        for width in WIDTHS:
            self.open(page, width, "light")
            self.assertEqual(self.browser.complaints(), [])
            self.assertEqual(self.browser.evaluate("document.title"), "caisson bench")
            self.assertEqual(self.count("img"), 0)
            self.assertIn(HOSTILE, self.browser.evaluate("document.body.innerText"))
            self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width)


if __name__ == "__main__":
    unittest.main()
