//! What a report shows of what was learned: curves, surfaces, maps, mistakes.

use std::path::Path;

use super::{folder, run};

/// Trains one of the repository's recipes and reads its report.
fn report(recipe: &str, flags: &[&str]) -> String {
    let folder = folder(&format!("report-{recipe}"));
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../models/{recipe}.toml"));
    let recipe = recipe.to_str().expect("a path");
    let output = run(&[&["train", recipe, "-o", "out"], flags].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !error.contains("note:"), "{error}");
    std::fs::read_to_string(folder.join("out/report.html")).expect("a report")
}

/// The places of the points of the first line behind `title`.
fn line(report: &str, title: &str) -> Vec<(f64, f64)> {
    let (_, chart) = report.split_once(&format!("<title>{title}</title>")).expect("a chart");
    let (_, points) = chart.split_once("<polyline points=\"").expect("a line");
    let (points, _) = points.split_once('"').expect("an end");
    let number = |text: &str| text.parse::<f64>().expect("a number");
    points.split(' ').filter_map(|at| at.split_once(',')).map(|(x, y)| (number(x), number(y))).collect()
}

#[test]
fn a_curve_is_fitted() {
    let report = report("waves", &["--epochs", "30"]);
    assert!(report.contains("Predicted against true"));
    // A sine of two periods: it turns four times between its ends.
    let points = line(&report, "Fitted curve");
    assert!(points.len() > 200, "{}", points.len());
    let slopes: Vec<bool> = points.windows(12).step_by(6).map(|part| part[11].1 > part[0].1).collect();
    let turns = slopes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((3..=5).contains(&turns), "{turns} turns: {points:?}");
    for empty in ["Accuracy</title>", "Confusion matrix", "Activation maps", "Decision surface"] {
        assert!(!report.contains(empty), "{empty} is of nothing");
    }
}

#[test]
fn a_surface_parts_the_moons() {
    let report = report("moons", &["--epochs", "12"]);
    let (_, surface) = report.split_once("<title>Decision surface</title>").expect("a surface");
    let (surface, _) = surface.split_once("</figure>").expect("an end");
    assert!(surface.contains("<image ") && surface.contains("class upper"));
    // A few of the samples are on the wrong side, most are not.
    let (all, wrong) = (surface.matches("<circle ").count(), surface.matches("r=\"5\"").count());
    assert!(all > 150 && wrong * 5 < all, "{wrong} of {all}");
    // What does not change from step to step is no chart.
    assert!(!report.contains("Learning rate</title>"));
    assert!(!report.contains("Fitted curve"));
}

#[test]
fn maps_and_mistakes_are_shown() {
    let flags = ["--epochs", "1", "--data", "digits:800", "--activation-stats"];
    let report = report("digits", &flags);
    assert!(report.contains("Activation maps") && report.contains("8 channels of 14 \u{d7} 14"));
    assert!(report.contains("8 filters of 5 \u{d7} 5"));
    // The worst is first.
    let (_, worst) = report.split_once("<h2>Worst mistakes</h2>").expect("mistakes");
    let (worst, _) = worst.split_once("<h2>").expect("an end");
    let losses: Vec<f64> =
        worst.split("loss ").skip(1).filter_map(|rest| rest.split(',').next()?.parse().ok()).collect();
    assert!(losses.len() > 5 && losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    assert!(worst.contains(" %<br>"));
    // Each layer has a row of its own.
    let (_, layers) = report.split_once("<h2>Activations</h2>").expect("activations");
    for layer in ["conv1", "conv2", "conv3"] {
        assert!(layers.contains(&format!("<td>{layer}</td>")), "{layer} is missing");
    }
}

/// Watching changes nothing: a step is looked at beside the training.
#[test]
fn whoever_watches_changes_nothing() {
    let weights = |name: &str, flags: &[&str]| {
        let folder = folder(name);
        let train =
            ["train", "net.onnx", "--from-scratch", "--data", "digits:320", "--batch", "32", "-o", "out"];
        let output = run(&[&train, flags].concat(), &folder);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(folder.join("out/weights.safetensors")).expect("weights")
    };
    let watched = ["--activation-stats", "--optimizer", "adam"];
    assert!(weights("watched", &watched) == weights("unwatched", &watched[1..]), "the weights are others");
}
