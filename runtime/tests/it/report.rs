//! The page that `report` makes of lines, and the lines that it refuses.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fixture::{Copy, all_well, command, not_refused, rings, run, succeed};

/// A calibrated bundle, and the lines and maps of 40 images that are normal for it and 3 that are not.
struct Scored {
    bundle: Copy,
    lines: String,
}

impl Scored {
    fn new() -> Self {
        let bundle = Copy::new();
        let scored = Self { lines: String::new(), bundle };
        let [normal, more] = ["normal.npy", "more.npy"].map(|name| scored.at(name));
        succeed(["sample", "-n", "250", "--seed", "1", "-o", &normal]);
        succeed(["sample", "-n", "40", "--seed", "2", "-o", &more]);
        fs::create_dir(scored.at("rings")).unwrap();
        rings(scored.at("rings").as_ref(), 3);
        assert!(scored.run(&["calibrate", &normal, "--far", "0.02"]).0);
        let (maps, odd) = (scored.at("maps"), scored.at("rings"));
        let (_, lines, _) = scored.run(&["score", &more, &odd, "--heatmap", &maps]);
        fs::write(scored.at("scores.ndjson"), &lines).unwrap();
        Self { lines, ..scored }
    }

    fn at(&self, name: &str) -> String {
        self.bundle.file(name).to_str().unwrap().to_owned()
    }

    /// Whether a command on the bundle succeeds, and what it prints and says.
    fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = run(["--model", self.bundle.path().to_str().unwrap()].iter().chain(arguments));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn report(&self, arguments: &[&str]) -> String {
        let (scores, page) = (self.at("scores.ndjson"), self.at("report.html"));
        let ran = self.run(&[&["report", &scores, "-o", &page, "--force"], arguments].concat());
        assert_eq!(ran, (true, String::new(), String::new()));
        fs::read_to_string(page).unwrap()
    }
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn a_page_shows_counts_distributions_and_the_worst_images() {
    let scored = Scored::new();
    let maps = scored.at("maps");
    let page = scored.report(&["--heatmap", &maps, "--contract", "0.01", "--top", "5"]);
    let lines: Vec<Value> =
        scored.lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let labelled = |label: &str| lines.iter().filter(|line| line["label"] == label).count();
    for label in ["anomaly", "normal"] {
        let shown = format!("<b>{}</b><span>{label}</span>", labelled(label));
        assert!(page.contains(&shown), "{shown}");
    }
    assert!(page.contains("43 images") && page.contains("250 normal images"));
    // Scores, p-values and evidence; five cards of two pictures, the highest score first.
    assert_eq!([count(&page, "<svg"), count(&page, "<li class"), count(&page, "<img")], [3, 5, 10]);
    assert_eq!(count(&page, "data:image/png;base64,iVBOR"), 10);
    let mut ranked = lines.clone();
    let score = |line: &Value| line["score"].as_f64().unwrap();
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let mut rest = page.as_str();
    for line in &ranked[..5] {
        let name = format!("<bdi class=\"name\">{}</bdi>", line["name"].as_str().unwrap());
        rest = rest.split_once(&name).unwrap_or_else(|| panic!("no {name} in its place")).1;
    }
    let threshold = page.split("threshold ").nth(1).unwrap();
    let threshold: f64 = threshold.split('<').next().unwrap().parse().unwrap();
    for line in &lines {
        let (alarm, score) = (line["label"] == "anomaly", score(line));
        assert!(alarm == (score > threshold) || (score / threshold - 1.0).abs() < 0.01, "{line}");
    }
    let said =
        scored.run(&["score", &scored.at("more.npy"), &scored.at("rings"), "--contract", "0.01"]).2;
    let state = if said.contains("contract broken") { "broken" } else { "holds" };
    assert!(page.contains(&format!("{state}</span>")), "{said}");
    let broken = said.split("contract broken at image ").nth(1);
    if let Some(at) = broken.and_then(|at| at.split(':').next()) {
        assert!(page.contains(&format!(" at image {at}")), "{said}");
    }
    for outside in ["<script", "http:", "https:", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

/// As a page on its own, from a pipe, with names that are no markup.
#[test]
fn lines_without_verdicts_make_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let line = |name: &str, score: f64| {
        json!({
            "name": name, "schema": 1, "method": "elbo", "score": score, "mse": 0.5, "nll": score,
            "kl": null, "elbo": null, "engine": "tract/cpu"
        })
    };
    let name = "<img src=x onerror=\"alert(1)\">&'\u{202e}";
    let lines = format!("{}\r\n{}\n{}", line("a", -3.0), line(name, 1e300), line("c", -5.0));
    let mut child = command(["report", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("standard input") && page.contains("<b>3</b><span>no label</span>"));
    assert!(page.contains("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;"), "{page}");
    assert_eq!([count(&page, "<svg"), count(&page, "<li class"), count(&page, "<img")], [1, 3, 0]);
    assert!(!page.contains("threshold") && !page.contains("Contract") && !page.contains("NaN"));
}

#[test]
fn lines_that_are_not_those_of_one_run_are_refused() {
    let scored = Scored::new();
    let lines: Vec<&str> = scored.lines.lines().collect();
    let changed = |key: &str, value: Value| {
        let mut line: Value = serde_json::from_str(lines[2]).unwrap();
        line[key] = value;
        format!("{}\n{}\n{line}\n{}\n", lines[0], lines[1], lines[3])
    };
    let cut = format!("{}\n{}", lines[0], &lines[1][..lines[1].len() - 9]);
    let label = if lines[2].contains("\"normal\"") { "anomaly" } else { "normal" };
    let cases: [(&str, String, &[&str]); 14] = [
        ("empty", String::new(), &["is empty", "vae-infer score"]),
        (
            "text",
            "normal  p 0.5\n".into(),
            &["line 1", "no line of `score --format json`", "at column"],
        ),
        ("blank", format!("{}\n\n", lines[0]), &["line 2", "no line of"]),
        ("array", "[]\n".into(), &["line 1", "no line of"]),
        ("cut", cut, &["line 2", "cut off", "remove that line"]),
        ("newer", changed("schema", 2.into()), &["line 3", "schema is 2", "reads 1"]),
        ("no score", changed("score", Value::Null), &["line 3", "no line of", "null"]),
        ("infinite", scored.lines.replacen("\"score\":", "\"score\":1e999,\"s\":", 1), &["line 1"]),
        ("other method", changed("method", "nll".into()), &["line 3", "`nll`", "`mse`"]),
        ("no method", changed("method", "best".into()), &["line 3", "unknown variant `best`"]),
        ("p above 1", changed("p_value", 2.into()), &["line 3", "p-value is 2"]),
        ("p alone", changed("label", Value::Null), &["line 3", "only one of p-value and label"]),
        ("other p", changed("p_value", 0.77.into()), &["line 3", "0.77", "--calibration FILE"]),
        ("other rate", changed("label", label.into()), &["line 3", label, "--far RATE"]),
    ];
    let (path, page) = (scored.at("wrong.ndjson"), scored.at("wrong.html"));
    let refuse = |arguments: &[&str], words: &[&str]| {
        let model = scored.bundle.path().to_str().unwrap();
        let output = run([&["--model", model, "report", "-o", &page], arguments].concat());
        not_refused(&output, words)
    };
    let mut failures = vec![];
    for (case, content, words) in cases {
        fs::write(&path, content).unwrap();
        let words = [&["wrong.ndjson"], words].concat();
        failures.extend(refuse(&[&path], &words).map(|reason| format!("{case}: {reason}")));
    }
    assert!(!PathBuf::from(&page).exists());
    all_well(failures);
}

#[test]
fn what_a_report_cannot_do_is_refused() {
    let scored = Scored::new();
    let (scores, page) = (scored.at("scores.ndjson"), scored.at("page.html"));
    let [rings, maps, missing, folder] =
        ["rings", "maps", "none.ndjson", ""].map(|name| scored.at(name));
    let named = scored.at("scores.html");
    fs::copy(&scores, &named).unwrap();
    fs::write(&page, "precious").unwrap();
    let other = Copy::new().with_manifest(|manifest| manifest["name"] = "other".into());
    let [model, other] = [&scored.bundle, &other].map(|bundle| bundle.path().to_str().unwrap());
    let held = scored.at("calibration.json");
    let cases: &[(&[&str], &[&str])] = &[
        (&[&scores, "-o", &page], &["it exists", "--force"]),
        (&[&scores, "-o", "page.htm"], &["page.htm", ".html"]),
        (&[&scores, "-o", "-"], &["a report ends in .html"]),
        (&[&named, "-o", &named, "--force"], &["it is an input"]),
        (&[&missing], &["none.ndjson", "cannot read"]),
        (&[&folder], &["it is a folder"]),
        (&[&scores, "--heatmap", &scores], &["no folder of maps"]),
        (&[&scores, "--heatmap", &rings], &["has no map of these images"]),
        (&[&scores, "--contract", "0.01"], &["a contract takes a calibration"]),
        (&[&scores, "--far", "0.01"], &["takes a calibration"]),
        (&[&scores, "--model", model, "--contract", "0"], &["an error rate", "between 0 and 1"]),
        (&[&scores, "--model", model, "--far", "0.001"], &["999 are needed"]),
        (&[&scores, "--model", other, "--calibration", &held], &["another bundle than `other`"]),
    ];
    let failures = cases.iter().filter_map(|(arguments, words)| {
        let mut arguments = [&["report"], *arguments].concat();
        if !arguments.contains(&"-o") {
            arguments.extend(["-o", &page, "--force"]);
        }
        not_refused(&run(&arguments), words).map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());
    assert_eq!(fs::read_to_string(&page).unwrap(), "precious");

    // A line may come from anyone: what it names outside the folder of maps is not looked at.
    let outside = scored.lines.replace("\"map\":\"", "\"map\":\"../maps/");
    fs::write(&scores, outside).unwrap();
    let output = run(["report", &scores, "--heatmap", &maps, "-o", &page, "--force"]);
    assert_eq!(not_refused(&output, &["has no map of these images"]), None);
}

/// `score` may have had another rate and another band than the calibration.
#[test]
fn a_report_of_another_rate_takes_that_rate_alone() {
    let scored = Scored::new();
    let [normal, other, scores, page] =
        ["normal.npy", "band.json", "other.ndjson", "other.html"].map(|name| scored.at(name));
    assert!(scored.run(&["calibrate", &normal, "--unsure-band", "0.05", "-o", &other]).0);
    let odd = scored.at("rings");
    let at_rate = ["--calibration", &other, "--far", "0.1"];
    let (_, lines, said) = scored.run(&[&["score", &odd], &at_rate[..]].concat());
    assert!(
        lines.is_empty() && said.contains("0.05, less than --far 0.1 (hint: --unsure-band"),
        "{said}"
    );
    let band = ["--unsure-band", "0.3"];
    let (_, lines, _) = scored.run(&[&["score", &odd], &at_rate[..], &band].concat());
    assert_eq!(lines.lines().count(), 3);
    fs::write(&scores, &lines).unwrap();
    let made = scored.run(&[&["report", &scores, "-o", &page], &at_rate[..]].concat());
    assert_eq!(made, (true, String::new(), String::new()));
}
