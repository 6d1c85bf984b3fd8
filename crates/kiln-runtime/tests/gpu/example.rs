//! The example tells colours apart.

use image::{Rgb, RgbImage};

use crate::plans;

#[allow(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/classify.rs"]
mod classify;

#[test]
fn an_image_is_classified() {
    let folder = std::env::temp_dir().join(format!("kiln-classify-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    plans::colours().save(file("colours.kplan")).unwrap();
    RgbImage::from_pixel(9, 6, Rgb([51, 255, 0])).save(file("green.png")).unwrap();
    std::fs::write(file("labels.txt"), "red\ngreen\n").unwrap();

    let run = |words: &[&str]| {
        let words = words.iter().map(|word| {
            if word.contains('.') && !word.contains(',') { file(word) } else { word.to_string() }
        });
        match classify::parse(words).and_then(|arguments| classify::classify(&arguments)) {
            Ok(classes) => classes.iter().map(|(label, share)| format!("{label} {share:.3}")).collect(),
            Err(error) => vec![error.to_string().replace(&file(""), "")],
        }
    };
    let plain = run(&["colours.kplan", "green.png"]);
    // Softmax of (0.2, 1, 0), and of ((0.2, 1, 0) - (0, 1, 0)) / (0.1, 1, 1) = (2, 0, 0).
    let normalised = run(&[
        "--mean",
        "0,1.0,0",
        "--std",
        "0.1,1,1",
        "colours.kplan",
        "green.png",
        "--labels",
        "labels.txt",
    ]);
    let wrong = [
        run(&["colours.kplan"]),
        run(&["other.kplan", "green.png"]),
        run(&["colours.kplan", "green.png", "--mean", "0.5,x,1"]),
        run(&["colours.kplan", "green.png", "--mean", "0.5,0.5"]),
        run(&["colours.kplan", "green.png", "--top"]),
        run(&["colours.kplan", "labels.txt"]),
    ];
    std::fs::remove_dir_all(&folder).unwrap();

    assert_eq!(plain, ["class 1 0.550", "class 0 0.247", "class 2 0.202"].map(String::from).to_vec());
    assert_eq!(normalised, ["red 0.787", "green 0.107", "class 2 0.107"]);
    let expected = [
        "usage: classify PLAN IMAGE",
        "other.kplan: No such file",
        "\"x\" in \"0.5,x,1\" is not a number",
        "2 values for 3 channels",
        "there is no option --top",
        "labels.txt: The file extension",
    ];
    for (found, expected) in wrong.iter().zip(expected) {
        assert!(found[0].starts_with(expected), "{found:?} should begin {expected:?}");
    }
}
