//! Data that commands read: what a model knows of it, and what is refused before anything is made of it.

use std::fmt::Write;
use std::path::Path;

use super::{folder, run};

/// A network of `n_in` numbers and `n_out` classes.
const NET: &str = "\
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, n_in=4, n_out=3):
        super().__init__()
        self.f = nn.Flatten(); self.fc = nn.Linear(n_in, n_out)
    def forward(self, x):
        return self.fc(self.f(x))
";

/// A table with a row for each word: of its columns one is four, that of the word.
fn table(header: &str, words: &[&str], row: impl Fn(usize) -> String) -> String {
    let mut text = format!("{header}\n");
    for n in 0..120 {
        let class = n % words.len();
        writeln!(text, "{},{}", row(class), words[class]).expect("a text");
    }
    text
}

/// Four numbers for the class `n`.
fn numbers(n: usize) -> String {
    let of = |at: usize| if at == n { "4" } else { "0.1" };
    format!("{},{},{},{}", of(0), of(1), of(2), of(3))
}

/// What a command writes, and whether it succeeds.
fn said(arguments: &str, folder: &Path) -> (bool, String) {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let output = run(&words, folder);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace(['│', '×', '╰', '─', '▶'], " ");
    (output.status.success(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn succeeds(arguments: &str, folder: &Path, words: &[&str]) {
    let (success, text) = said(arguments, folder);
    assert!(success && words.iter().all(|words| text.contains(words)), "{arguments}: {text}");
}

fn fails(arguments: &str, folder: &Path, words: &[&str]) {
    let (success, text) = said(arguments, folder);
    assert!(!success && words.iter().all(|words| text.contains(words)), "{arguments}: {text}");
}

/// Classes, columns and normalization of a table are those that the model was trained with, wherever it says so.
#[test]
fn tables_are_read_as_the_model_knows_them() {
    let place = folder("data-tables");
    let write = |name: &str, text: String| std::fs::write(place.join(name), text).expect("a file");
    write("net.py", NET.into());
    write("all.csv", table("p,q,r,s,y", &["a", "b", "c"], numbers));
    write("part.csv", table("p,q,r,s,y", &["b", "c"], |n| numbers(n + 1)));
    // The same columns in another order.
    let turned = |n: usize| numbers(n).split(',').rev().collect::<Vec<_>>().join(",");
    write("moved.csv", table("s,r,q,p,y", &["a", "b", "c"], turned));
    write("strange.csv", table("p,q,r,s,y", &["b", "dog"], |n| numbers(n + 1)));
    write("other.csv", table("p,q,r,t,y", &["a", "b", "c"], numbers));
    succeeds("train net.py:Net --data csv:all.csv --epochs 8 --lr 0.1 -o out", &place, &[]);
    let models = [
        "net.py:Net --weights out/weights.safetensors",
        "net.py:Net --weights out/weights.pt",
        "net.py:Net --partial-weights --weights out/checkpoints/best.safetensors",
        "out/model.onnx",
        "out/model.kplan",
    ];
    for model in models {
        for data in ["all", "part", "moved"] {
            succeeds(&format!("eval {model} --data csv:{data}.csv"), &place, &["accuracy 100.00 %"]);
        }
        fails(&format!("eval {model} --data csv:strange.csv"), &place, &["does not know: dog", "a, b, c"]);
        fails(&format!("eval {model} --data csv:other.csv"), &place, &["no column `s`"]);
    }
    // Weights that are alone know nothing.
    std::fs::create_dir(place.join("alone")).expect("a folder");
    std::fs::copy(place.join("out/weights.pt"), place.join("alone/weights.pt")).expect("a copy");
    let alone = "eval net.py:Net --weights alone/weights.pt --data";
    succeeds(
        &format!("{alone} csv:all.csv"),
        &place,
        &["the model does not name its classes; they are assumed to be a, b, c", "they are used unchanged"],
    );
    fails(
        &format!("{alone} csv:part.csv"),
        &place,
        &["the model does not name its 3 classes", "(b, c)", "`--classes`"],
    );
    succeeds(&format!("{alone} csv:part.csv --classes a,b,c --mean 1 --std 1.7"), &place, &["100.00 %"]);
}

/// Whatever words classes are, they have one order, and a part of them means the same.
#[test]
fn words_are_classes() {
    let place = folder("data-words");
    std::fs::write(place.join("net.py"), NET).expect("a file");
    let write = |name: &str, words: &[&str], first: usize| {
        let text = table("p,q,r,s,y", words, |n| numbers(n + first));
        std::fs::write(place.join(name), text).expect("a file");
    };
    // All words; some of them, the number of the first among those that are trained, and what is said of them.
    let cases: [(&[&str], &[&str], usize, &str); 4] = [
        (&["10", "1a", "9"], &["9"], 2, "3 classes: 10, 1a, 9"),
        (&["07", "7", "x"], &["07", "7"], 0, "3 classes: 07, 7, x"),
        (&["1", "2", "3"], &["1", "2"], 0, "3 classes: 1, 2, 3"),
        (&["-1", "0", "1"], &["0", "1"], 1, "3 classes: -1, 0, 1"),
    ];
    for (n, (all, part, first, words)) in cases.into_iter().enumerate() {
        write("all.csv", all, 0);
        write("part.csv", part, first);
        let train = format!("train net.py:Net --data csv:all.csv --epochs 8 --lr 0.1 -o {n}");
        succeeds(&train, &place, &[words]);
        let eval = format!("eval net.py:Net --weights {n}/weights.safetensors --data csv:part.csv");
        succeeds(&eval, &place, &["accuracy 100.00 %"]);
    }
}

/// A class without images does not shift the others; neither does a number that does not occur.
#[test]
fn classes_that_are_missing_are_not_skipped() {
    let place = folder("data-missing");
    std::fs::write(place.join("net.py"), NET).expect("a file");
    for (n, class) in ["cat", "dog", "owl"].into_iter().enumerate() {
        for part in ["all", "part"] {
            let folder = place.join(part).join(class);
            if part == "part" && n == 0 {
                continue;
            }
            std::fs::create_dir_all(&folder).expect("a folder");
            for picture in 0..20 {
                let mut colour = [10; 3];
                colour[n] = 250;
                let image = image::RgbImage::from_pixel(2, 2, image::Rgb(colour));
                image.save(folder.join(format!("{picture}.png"))).expect("an image");
            }
        }
    }
    succeeds(
        "train net.py:Net --arg n_in=12 --data folder:all --epochs 8 --batch 8 --lr 0.1 -o out",
        &place,
        &["3 classes: cat, dog, owl"],
    );
    for model in ["net.py:Net --arg n_in=12 --weights out/weights.pt", "out/model.onnx", "out/model.kplan"] {
        succeeds(&format!("eval {model} --data folder:part"), &place, &["accuracy 100.00 % (40 of 40)"]);
    }
    std::fs::rename(place.join("part/owl"), place.join("part/eagle")).expect("another name");
    fails("eval out/model.onnx --data folder:part", &place, &["does not know: eagle", "cat, dog, owl"]);
}

/// Numbers outside of their range are refused with their name, whether a flag or a recipe has them.
#[test]
fn numbers_have_ranges() {
    let place = folder("data-numbers");
    for (option, value, words) in [
        ("lr", "nan", "`lr` (--lr) is nan; it should be a finite number of at least 0"),
        ("momentum", "inf", "`momentum` (--momentum) is inf"),
        (
            "label-smoothing",
            "5.0",
            "`label-smoothing` (--label-smoothing) is 5.0; it should be a finite number of at least 0 and at most 1",
        ),
        ("weight-decay", "nan", "`weight-decay`"),
        ("clip-norm", "nan", "`clip-norm`"),
        ("validation", "1.5", "above 0 and below 1"),
        ("batch", "0", "a whole number of at least 1"),
        ("workers", "1000000", "at most 1024"),
    ] {
        fails(
            &format!("train net.onnx --data digits:40 --{option} {value}"),
            &place,
            &[words.rsplit("; it ").next().unwrap_or(words)],
        );
        let recipe = format!("model = 'net.onnx'\ndata = 'digits:40'\n{option} = {value}\n");
        std::fs::write(place.join("wrong.toml"), recipe).expect("a file");
        fails("train wrong.toml", &place, &["`wrong.toml` is not a recipe", words]);
    }
    fails(
        "train net.onnx --data digits:40 --optimizer adam --momentum 5",
        &place,
        &["`momentum` (--momentum) is 5.0", "of at least 0 and below 1"],
    );
    // Negative numbers are values of flags.
    for (flags, words) in [
        ("--lr -0.5", "`lr` (--lr) is -0.5"),
        ("--epochs -3", "should be a whole number of at least 1 and at most 1000000000"),
        ("--std -1", "`std` (--std) is -1.0; it should be a finite number above 0"),
    ] {
        fails(&format!("train net.onnx --data digits:40 {flags}"), &place, &[words]);
    }
    for schedule in ["step:every=0", "one-cycle:pct_start=2", "exponential:gamma=nan"] {
        fails(
            &format!("train net.onnx --data digits:40 --schedule {schedule}"),
            &place,
            &["--schedule", "it should be"],
        );
    }
    fails(
        "train net.onnx --data digits:40 --augment affine:degrees=nan",
        &place,
        &["--augment", "`degrees` is NaN"],
    );
}

/// The page about a data set shows samples before and after augmentation, and counts classes.
#[test]
fn data_is_shown_as_a_page() {
    let folder = folder("data-page");
    let output = run(&["data", "digits:300", "--augment", "affine:degrees=20", "-o", "data.html"], &folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(folder.join("data.html")).expect("a page");
    assert!(page.contains("300 training samples of [1, 28, 28]"), "{}", &page[..3000.min(page.len())]);
    let pictures: Vec<&str> = page
        .split("src=\"data:image/png;base64,")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(pictures.len(), 48);
    let changed = (0..24).filter(|n| pictures[*n] != pictures[n + 24]).count();
    assert!(changed > 20, "only {changed} samples are augmented");
    let output = run(&["data", "digits:30", "--augment", "twirl"], &folder);
    assert_eq!(output.status.code(), Some(2));
}
