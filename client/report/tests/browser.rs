//! The page in a real browser, at the width of a phone and on paper: all of it is to be seen. The same checks are run on pages
//! with a part hidden, cut off, blank or broken, and have to name it.
//!
//! Needs Chromium, and for paper pdftotext and pdfimages of poppler; says SKIPPED where there are none.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use common::{
    browser::Browser,
    programs::{program, run},
    samples, skipped,
};
use image::RgbImage;
use serde_json::Value;
use tiresias_report::{
    Bar, Bars, Drift, Evidence, HeatMap, Id, ModelFacts, Moment, Outcome, Report, Review, Verdict, html,
};

/// Points of a phone's width, and of a page that is taller than any of these.
const PHONE: (u32, u32) = (390, 4600);

/// What has to be there, by selector.
const PARTS: [&str; 14] = [
    "#examination h1",
    "#examination dd",
    "#result h2",
    "#result .label",
    "#result td",
    "#scan img",
    "#legend rect",
    ".contributions rect",
    ".contributions td",
    "#range dd",
    "#model dd",
    "#evidence strong",
    "#privacy p",
    "#decision .sign p",
];

/// Tells of each frame which parts it has, and of each element that shows something where it lies.
const PROBE: &str = r"
addEventListener('load', () => {
  const frames = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentDocument, at = frame.getBoundingClientRect();
    const place = element => {
      const box = element.getBoundingClientRect();
      return {name: (element.closest('[id]')?.id ?? '') + ' ' + element.tagName + ' ' + element.textContent.trim().slice(0, 30),
              x: box.x, y: box.y, width: box.width, height: box.height, left: at.x, top: at.y};
    };
    const says = element => [...element.childNodes].some(node => node.nodeType == 3 && node.textContent.trim());
    const shown = [...page.querySelectorAll('main *')].filter(says);
    return {
      parts: Object.fromEntries(PARTS.map(part => [part, page.querySelectorAll(part).length])),
      shown: shown.map(place),
      pictures: [...page.images].map(image => ({...place(image), loaded: image.complete && image.naturalWidth > 0})),
      overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      length: page.documentElement.scrollHeight,
    };
  });
  const answer = document.createElement('script');
  answer.type = 'application/json';
  answer.id = 'answer';
  answer.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(frames))));
  document.body.append(answer);
});";

/// What is wrong with each of these pages on a phone.
fn on_a_phone(browser: &Browser, pages: &[String]) -> Vec<Vec<String>> {
    let mut wrapper = String::from(
        "<!doctype html><meta charset=utf-8><body style='margin:0;white-space:nowrap;font-size:0'>",
    );
    for (at, page) in pages.iter().enumerate() {
        fs::write(browser.path(&format!("{at}.html")), page).unwrap();
        let (width, height) = PHONE;
        let _ = write!(
            wrapper,
            "<iframe src='{at}.html' width={width} height={height} style='border:0'></iframe>"
        );
    }
    let parts = serde_json::to_string(&PARTS).unwrap();
    let _ = write!(wrapper, "<script>const PARTS = {parts};{PROBE}</script>");
    let (file, shot) = (browser.path("wrapper.html"), browser.path("shot.png"));
    fs::write(&file, wrapper).unwrap();
    let size = format!("--window-size={},{}", PHONE.0 * pages.len() as u32, PHONE.1);
    let frames = browser.answers(&file, &["--hide-scrollbars", &size]);
    browser.open(&file, &["--hide-scrollbars", &format!("--screenshot={}", shot.display()), &size]);
    let shot = image::open(shot).unwrap().to_rgb8();
    assert_eq!(shot.dimensions(), (PHONE.0 * pages.len() as u32, PHONE.1));
    frames.iter().map(|frame| problems(frame, &shot)).collect()
}

fn problems(frame: &Value, shot: &RgbImage) -> Vec<String> {
    let mut problems = Vec::new();
    for (part, count) in frame["parts"].as_object().unwrap() {
        if count == 0 {
            problems.push(format!("{part} is not in the page"));
        }
    }
    if frame["overflow"].as_f64().unwrap() > 0.0 {
        problems.push("the page is wider than the screen".into());
    }
    assert!(
        frame["length"].as_f64().unwrap() <= f64::from(PHONE.1),
        "the page is longer than the picture of it"
    );
    let pictures = frame["pictures"].as_array().unwrap();
    for place in frame["shown"].as_array().unwrap().iter().chain(pictures) {
        let name = place["name"].as_str().unwrap();
        let number = |field: &str| place[field].as_f64().unwrap();
        let (x, y, width, height) = (number("x"), number("y"), number("width"), number("height"));
        if width < 1.0 || height < 1.0 {
            problems.push(format!("{name} has no size"));
        } else if x < 0.0 || y < 0.0 || x + width > f64::from(PHONE.0) + 0.5 {
            problems.push(format!("{name} lies outside the page"));
        } else if !has_ink(shot, (number("left") + x, number("top") + y, width, height)) {
            problems.push(format!("{name} is blank"));
        }
    }
    let broken = pictures.iter().filter(|picture| picture["loaded"] == false);
    problems.extend(broken.map(|picture| format!("{} is not loaded", picture["name"])));
    if pictures.len() != 2 {
        problems.push(format!("{} pictures", pictures.len()));
    }
    problems
}

/// Whether some of a place's pixels stand out against the others.
fn has_ink(shot: &RgbImage, (x, y, width, height): (f64, f64, f64, f64)) -> bool {
    let columns = x as u32..(x + width).ceil().min(f64::from(shot.width())) as u32;
    let rows = y as u32..(y + height).ceil().min(f64::from(shot.height())) as u32;
    let light = |x, y| shot.get_pixel(x, y).0.iter().map(|&part| i32::from(part)).sum::<i32>() / 3;
    let pixels: Vec<i32> = rows.flat_map(|y| columns.clone().map(move |x| light(x, y))).collect();
    let mut counts = HashMap::new();
    pixels.iter().for_each(|pixel| *counts.entry(*pixel).or_insert(0) += 1);
    let paper = counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(pixel, _)| pixel);
    pixels.iter().filter(|pixel| (*pixel - paper).abs() > 60).count() >= 6
}

fn with_style(page: &str, style: &str) -> String {
    page.replacen("</style>", &format!("{style}</style>"), 1)
}

#[test]
fn everything_is_to_be_seen_on_a_phone() {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(reason) => return skipped("no browser", &reason),
    };
    let page = html(&samples::full());
    let broken = page.replacen("base64,iVBOR", "base64,AAAAA", 1);
    let cases = [
        ("#decision { display: none }", "has no size"),
        ("#result { opacity: 0 }", "is blank"),
        ("#range { visibility: hidden }", "is blank"),
        ("#model * { color: #fff }", "is blank"),
        ("#evidence { position: absolute; left: -500px }", "outside the page"),
        ("table { min-width: 30rem }", "wider than the screen"),
        ("img { clip-path: inset(50%) }", "is blank"),
    ];
    let mut pages = vec![page.clone(), broken];
    pages.extend(cases.iter().map(|(style, _)| with_style(&page, style)));
    pages.push(page.replace(" id=\"privacy\"", ""));
    let mut found = on_a_phone(&browser, &pages).into_iter();
    assert_eq!(found.next().unwrap(), Vec::<String>::new());
    let expected = std::iter::once("is not loaded").chain(cases.iter().map(|(_, problem)| *problem));
    for (problem, found) in expected.chain(["#privacy p is not in the page"]).zip(found) {
        assert!(found.iter().any(|found| found.contains(problem)), "{problem}: {found:?}");
    }
}

/// Words of each section, and the pictures, on paper.
fn missing_on_paper(browser: &Browser, page: &str) -> Vec<String> {
    let (file, pdf) = (browser.path("page.html"), browser.path("page.pdf"));
    fs::write(&file, page).unwrap();
    let print = format!("--print-to-pdf={}", pdf.display());
    browser.open(&file, &["--hide-scrollbars", &print, "--no-pdf-header-footer"]);
    let pdf = pdf.to_str().unwrap();
    let text = run(Path::new("pdftotext"), &["-layout", pdf, "-"]).unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = [
        "slice 12.dcm",
        "PID-42",
        "2026-11-24 23:59 UTC",
        "Result glioma",
        "meningioma -0.500",
        "Where the score for glioma comes from",
        "What made the score of glioma",
        "size +1.500",
        "Is this a usual scan for the model?",
        "1 of 64",
        "For research on brains.",
        "mri, version 3",
        "UNWITNESSED: no witness has signed the log",
        "Who saw what",
        "Decision by a clinician",
        "Date, signature",
    ];
    let mut missing: Vec<String> =
        expected.iter().filter(|part| !words.contains(*part)).map(|part| (*part).to_owned()).collect();
    let pictures = run(Path::new("pdfimages"), &["-list", pdf]).unwrap();
    let pictures = String::from_utf8(pictures.stdout).unwrap();
    let pictures = pictures.lines().filter(|line| line.split_whitespace().nth(2) == Some("image")).count();
    if pictures < 2 {
        missing.push(format!("{pictures} pictures of 2"));
    }
    missing
}

#[test]
fn everything_is_on_paper() {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(reason) => return skipped("no browser", &reason),
    };
    for poppler in ["pdftotext", "pdfimages"] {
        if let Err(reason) = program(&[poppler], "-v") {
            return skipped("paper cannot be read", &reason);
        }
    }
    let page = html(&samples::full());
    assert_eq!(missing_on_paper(&browser, &page), Vec::<String>::new());
    let damaged = with_style(&page, "@media print { #decision, img { display: none } }");
    let missing = ["Decision by a clinician", "Date, signature", "0 pictures of 2"];
    assert_eq!(missing_on_paper(&browser, &damaged), missing);
}
