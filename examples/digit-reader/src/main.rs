//! Reads digits in images. The network is part of the program: `build.rs` has compiled it.
//!
//! `cargo run -p digit-reader -- models/digit.png`

use std::error::Error;
use std::process::ExitCode;

use kiln_runtime::ndarray::ArrayViewD;
use kiln_runtime::{Picture, Plan, Session};

/// The plan that `build.rs` has made.
const PLAN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/digits.kplan"));

/// The digit in each image, and how sure that is, from 0 to 1.
fn read(session: &mut Session, images: &[Picture]) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    let input = session.of_pictures("image", images)?;
    let outputs = session.run(&[("image", &input)])?;
    let scores = ArrayViewD::<f32>::try_from(outputs.get("scores")?)?;
    let classes = &session.metadata().classes;
    let digits = scores.outer_iter().map(|row| {
        let (class, best) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).ok_or("no scores")?;
        let sum: f32 = row.iter().map(|score| (score - best).exp()).sum();
        Ok((classes[class].clone(), 1.0 / sum))
    });
    digits.collect()
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut session = Session::open(&Plan::read(PLAN)?)?;
    for file in std::env::args().skip(1) {
        let image = image::open(&file)?;
        for (digit, share) in read(&mut session, &[image.try_into()?])? {
            println!("{file}: {digit} ({:.1} %)", share * 100.0);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    run().map_or_else(
        |error| {
            eprintln!("digit-reader: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image is a three; larger and in colours it is the same.
    #[test]
    fn a_digit_is_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digit.png");
        let image = image::open(path).unwrap();
        let large = image.resize_exact(280, 280, image::imageops::FilterType::Triangle).into_rgb8();
        let pictures = [Picture::try_from(image).unwrap(), large.try_into().unwrap()];
        let mut session = Session::open(&Plan::read(PLAN).unwrap()).unwrap();
        let read = read(&mut session, &pictures).unwrap();
        assert_eq!(read.len(), 2);
        for (digit, share) in read {
            assert!(digit == "3" && share > 0.9, "{digit}, {share}");
        }
    }
}
