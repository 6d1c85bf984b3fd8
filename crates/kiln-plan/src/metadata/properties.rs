//! Metadata as strings by name: the `metadata_props` of an ONNX file, the metadata of a safetensors file, a table of a
//! recipe. Lists are written as JSON, so that any program can read them; `docs/metadata.md` has the table of keys.
//!
//! Keys of other programs are read where they are unambiguous: class names under `names` (Ultralytics), `id2label`
//! (Hugging Face), `classes`, `class_names` or `labels`; `task`; the size of Ultralytics' classifiers (`imgsz`); and
//! pixel format and range as ONNX's own standard has them (`Image.BitmapPixelFormat`, `Image.NominalPixelRange`). Keys
//! of Kiln come first.

use std::collections::BTreeMap;

use super::check::check;
use super::literal::{self, Item, Literal};
use super::{
    Channels, InputSource, Measure, Metadata, Pictures, Preprocessing, Provenance, Resize, Targets, Task,
};
use crate::Problem;

const TASK: &str = "kiln.task";
const CLASSES: &str = "kiln.classes";
const INPUT: &str = "kiln.input";
const CHANNELS: &str = "kiln.channels";
const RESIZE: &str = "kiln.resize";
const CROP: &str = "kiln.crop";
const PIXEL_MAX: &str = "kiln.pixel_max";
const COLUMNS: &str = "kiln.columns";
const MEAN: &str = "kiln.mean";
const STD: &str = "kiln.std";
const TARGETS: &str = "kiln.targets";
const TARGET_MEAN: &str = "kiln.target_mean";
const TARGET_STD: &str = "kiln.target_std";
const PRODUCER: &str = "kiln.producer";
const DATA: &str = "kiln.data";
const LOSS: &str = "kiln.loss";
const EPOCHS: &str = "kiln.epochs";
const STEPS: &str = "kiln.steps";
const MEASURES: &str = "kiln.measures";

/// Why strings are not metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// A key of Kiln's has a value that cannot be read.
    #[error("the metadata `{key}` is `{value}`, but should be {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value, shortened.
        value: String,
        /// How to fix it.
        expected: String,
    },
    /// What was read cannot be used.
    #[error("the {at} in the metadata: {problem}")]
    Unusable {
        /// What it is about.
        at: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
}

impl Metadata {
    /// The metadata as strings.
    pub fn to_properties(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let mut put = |key: &str, value: String| properties.insert(key.to_owned(), value);
        if let Some(task) = self.task {
            put(TASK, task.name().into());
        }
        if !self.classes.is_empty() {
            put(CLASSES, literal::texts(&self.classes));
        }
        if let Some(Preprocessing { source, mean, std }) = &self.preprocessing {
            match source {
                InputSource::Pictures(pictures) => {
                    put(INPUT, "pictures".into());
                    put(CHANNELS, pictures.channels.name().into());
                    put(PIXEL_MAX, pictures.pixel_max.to_string());
                    match pictures.resize {
                        Some(Resize::Shorter(side)) => drop(put(RESIZE, side.to_string())),
                        Some(Resize::Exact { height, width }) => {
                            put(RESIZE, literal::numbers(&[height, width]));
                        }
                        None => {}
                    }
                    if let Some(crop) = pictures.crop {
                        put(CROP, literal::numbers(&crop));
                    }
                }
                InputSource::Table { columns } => {
                    put(INPUT, "table".into());
                    put(COLUMNS, literal::texts(columns));
                }
                InputSource::Numbers => drop(put(INPUT, "numbers".into())),
            }
            put(MEAN, literal::numbers(mean));
            put(STD, literal::numbers(std));
        }
        if let Some(Targets { names, mean, std }) = &self.targets {
            put(TARGETS, literal::texts(names));
            put(TARGET_MEAN, literal::numbers(mean));
            put(TARGET_STD, literal::numbers(std));
        }
        if let Some(Provenance { producer, data, loss, epochs, steps, measures }) = &self.provenance {
            put(PRODUCER, producer.clone());
            put(DATA, data.clone());
            put(LOSS, loss.clone());
            put(EPOCHS, epochs.to_string());
            put(STEPS, steps.to_string());
            let pair = |m: &Measure| format!("{}: {}", literal::quoted(&m.name), m.value);
            put(MEASURES, format!("{{{}}}", measures.iter().map(pair).collect::<Vec<_>>().join(", ")));
        }
        properties
    }

    /// Reads strings. Unknown keys are ignored; those of Kiln have to be valid.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, PropertyError> {
        let read = Reader { properties };
        let metadata = Self {
            task: read.own(TASK, TASKS, Task::called)?.or_else(|| others_task(properties)),
            classes: read
                .own(CLASSES, TEXTS, texts)?
                .or_else(|| others_classes(properties))
                .unwrap_or_default(),
            preprocessing: match read.preprocessing()? {
                Some(own) => Some(own),
                None => others_preprocessing(properties),
            },
            targets: read.targets()?,
            provenance: read.provenance()?,
        };
        check(&metadata).map_err(|(at, problem)| PropertyError::Unusable { at, problem })?;
        Ok(metadata)
    }
}

const TASKS: &str = "classification, multi-label, regression, segmentation or detection";
const TEXTS: &str = "a JSON list of strings: [\"cat\", \"dog\"]";
const NUMBERS: &str = "a list of numbers: [0.5, 0.25]";
const NUMBER: &str = "a number";
const COUNT: &str = "a whole number";

struct Reader<'a> {
    properties: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    /// The value of a key of ours, if it is there.
    fn own<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, PropertyError> {
        let Some(text) = self.properties.get(key) else { return Ok(None) };
        match read(text.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(PropertyError::Value {
                key: key.into(),
                value: text.chars().take(80).collect(),
                expected: expected.into(),
            }),
        }
    }

    fn preprocessing(&self) -> Result<Option<Preprocessing>, PropertyError> {
        let input = self.own(INPUT, "pictures, table or numbers", |text| {
            ["pictures", "table", "numbers"].into_iter().find(|known| *known == text)
        })?;
        let mean = self.own(MEAN, NUMBERS, numbers)?;
        let std = self.own(STD, NUMBERS, numbers)?;
        let channels = self.own(CHANNELS, "RGB, BGR or L", Channels::called)?;
        let resize = self.own(RESIZE, "a length or [height, width]", resize)?;
        let crop = self.own(CROP, "[height, width]", pair)?;
        let pixel_max = self.own(PIXEL_MAX, NUMBER, |text| text.parse().ok())?;
        let columns = self.own(COLUMNS, TEXTS, texts)?;
        let of_pictures = channels.is_some() || resize.is_some() || crop.is_some() || pixel_max.is_some();
        let source = match input {
            Some("table") => InputSource::Table { columns: columns.unwrap_or_default() },
            Some("numbers") => InputSource::Numbers,
            None if !of_pictures && columns.is_some() => {
                InputSource::Table { columns: columns.unwrap_or_default() }
            }
            None if !of_pictures && mean.is_none() && std.is_none() => return Ok(None),
            Some(_) | None => {
                let Pictures { channels: rgb, pixel_max: one, .. } = Pictures::default();
                InputSource::Pictures(Pictures {
                    channels: channels.unwrap_or(rgb),
                    resize,
                    crop,
                    pixel_max: pixel_max.unwrap_or(one),
                })
            }
        };
        Ok(Some(Preprocessing { source, mean: mean.unwrap_or_default(), std: std.unwrap_or_default() }))
    }

    fn targets(&self) -> Result<Option<Targets>, PropertyError> {
        let names = self.own(TARGETS, TEXTS, texts)?;
        let mean = self.own(TARGET_MEAN, NUMBERS, numbers)?;
        let std = self.own(TARGET_STD, NUMBERS, numbers)?;
        Ok((names.is_some() || mean.is_some() || std.is_some()).then(|| Targets {
            names: names.unwrap_or_default(),
            mean: mean.unwrap_or_default(),
            std: std.unwrap_or_default(),
        }))
    }

    fn provenance(&self) -> Result<Option<Provenance>, PropertyError> {
        let text = |key| self.properties.get(key).cloned();
        let (producer, data, loss) = (text(PRODUCER), text(DATA), text(LOSS));
        let epochs = self.own(EPOCHS, COUNT, |text| text.parse().ok())?;
        let steps = self.own(STEPS, COUNT, |text| text.parse().ok())?;
        let measures = self.own(MEASURES, "numbers by name: {\"accuracy\": 0.9}", measures)?;
        let known = producer.is_some() || data.is_some() || loss.is_some();
        Ok((known || epochs.is_some() || steps.is_some() || measures.is_some()).then(|| Provenance {
            producer: producer.unwrap_or_default(),
            data: data.unwrap_or_default(),
            loss: loss.unwrap_or_default(),
            epochs: epochs.unwrap_or_default(),
            steps: steps.unwrap_or_default(),
            measures: measures.unwrap_or_default(),
        }))
    }
}

fn texts(text: &str) -> Option<Vec<String>> {
    let Literal::List(items) = Literal::read(text)? else { return None };
    let word = |item| match item {
        Item::Text(text) => Some(text),
        Item::Number(_) => None,
    };
    items.into_iter().map(word).collect()
}

fn number(item: Item) -> Option<f64> {
    match item {
        Item::Number(number) => Some(number),
        Item::Text(_) => None,
    }
}

#[allow(clippy::as_conversions, reason = "rounding is what is meant")]
fn numbers(text: &str) -> Option<Vec<f32>> {
    match Literal::read(text)? {
        Literal::List(items) => items.into_iter().map(|item| Some(number(item)? as f32)).collect(),
        Literal::Item(item) => Some(vec![number(item)? as f32]),
        Literal::Map(_) => None,
    }
}

fn whole(value: f64) -> Option<u32> {
    let fits = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
    #[allow(clippy::as_conversions, reason = "checked just above")]
    fits.then_some(value as u32)
}

fn pair(text: &str) -> Option<[u32; 2]> {
    let Literal::List(items) = Literal::read(text)? else { return None };
    let sides: Vec<u32> = items.into_iter().map(|item| whole(number(item)?)).collect::<Option<_>>()?;
    sides.try_into().ok()
}

fn resize(text: &str) -> Option<Resize> {
    match Literal::read(text)? {
        Literal::Item(item) => whole(number(item)?).map(Resize::Shorter),
        Literal::List(_) => pair(text).map(|[height, width]| Resize::Exact { height, width }),
        Literal::Map(_) => None,
    }
}

fn measures(text: &str) -> Option<Vec<Measure>> {
    let Literal::Map(pairs) = Literal::read(text)? else { return None };
    let measure = |pair| match pair {
        (Item::Text(name), Item::Number(value)) => Some(Measure { name, value }),
        _ => None,
    };
    pairs.into_iter().map(measure).collect()
}

/// Class names under the keys of others: a list, or a mapping from numbers without gaps.
fn others_classes(properties: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let keys = ["names", "id2label", "classes", "class_names", "labels"];
    keys.into_iter().filter_map(|key| properties.get(key)).find_map(|text| {
        let Literal::Map(pairs) = Literal::read(text)? else { return texts(text.trim()) };
        let mut numbered = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Item::Text(name) = value else { return None };
            let number = match key {
                Item::Number(number) => whole(number)?,
                Item::Text(text) => text.parse().ok()?,
            };
            numbered.push((number, name));
        }
        numbered.sort();
        let gapless = numbered.iter().enumerate().all(|(n, (number, _))| usize::try_from(*number) == Ok(n));
        gapless.then(|| numbered.into_iter().map(|(_, name)| name).collect())
    })
}

fn others_task(properties: &BTreeMap<String, String>) -> Option<Task> {
    match properties.get("task")?.trim() {
        "classify" | "classification" | "image-classification" => Some(Task::Classification),
        "multi-label" | "multi_label_classification" => Some(Task::MultiLabel),
        "regression" => Some(Task::Regression),
        "semantic-segmentation" | "segmentation" => Some(Task::Segmentation),
        "detect" | "detection" | "object-detection" => Some(Task::Detection),
        _ => None,
    }
}

/// Preprocessing of images, from keys of other programs.
fn others_preprocessing(properties: &BTreeMap<String, String>) -> Option<Preprocessing> {
    let get = |key: &str| properties.get(key).map(|text| text.trim());
    // Ultralytics' detectors want a border around the image, which is not among the steps here.
    let size = match (get("task"), get("imgsz")) {
        (Some("classify"), Some(text)) => pair(text),
        _ => None,
    };
    let channels = match get("Image.BitmapPixelFormat") {
        Some("Gray8") => Some(Channels::Grey),
        Some("Rgb8") => Some(Channels::Rgb),
        Some("Bgr8") => Some(Channels::Bgr),
        Some(_) | None => None,
    };
    let (pixel_max, mean, std) = match get("Image.NominalPixelRange") {
        Some("NominalRange_0_255") => (Some(255.0), vec![], vec![]),
        Some("Normalized_0_1") => (Some(1.0), vec![], vec![]),
        Some("Normalized_1_1") => (Some(1.0), vec![0.5], vec![0.5]),
        Some(_) | None => (None, vec![], vec![]),
    };
    if size.is_none() && channels.is_none() && pixel_max.is_none() {
        return None;
    }
    let usual = Pictures::default();
    let pictures = Pictures {
        channels: channels.unwrap_or(usual.channels),
        resize: size.map(|[height, width]| Resize::Shorter(height.min(width))),
        crop: size,
        pixel_max: pixel_max.unwrap_or(usual.pixel_max),
    };
    Some(Preprocessing { source: InputSource::Pictures(pictures), mean, std })
}
