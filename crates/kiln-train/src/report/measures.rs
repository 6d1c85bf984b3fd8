//! Tables: epochs, without columns that are empty, and what the confusion matrix says of each class.

use minijinja::{Value, context};

use super::samples::name;
use crate::history::Epoch;
use crate::metrics::Confusion;

/// A column of the table of epochs.
pub(super) struct Column {
    pub name: &'static str,
    pub cell: fn(&Epoch) -> String,
}

fn percent(share: Option<f64>) -> String {
    share.map_or(String::new(), |share| format!("{:.2} %", share * 100.0))
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.4}"))
}

const ALL: [Column; 10] = [
    Column { name: "epoch", cell: |epoch| epoch.epoch.to_string() },
    Column { name: "training loss", cell: |epoch| format!("{:.5}", epoch.train.loss) },
    Column { name: "training accuracy", cell: |epoch| percent(epoch.train.accuracy) },
    Column { name: "training F1", cell: |epoch| number(epoch.train.f1) },
    Column {
        name: "validation loss",
        cell: |epoch| epoch.validation.as_ref().map_or(String::new(), |scores| format!("{:.5}", scores.loss)),
    },
    Column {
        name: "validation accuracy",
        cell: |epoch| percent(epoch.validation.as_ref().and_then(|scores| scores.accuracy)),
    },
    Column { name: "validation F1", cell: |epoch| number(epoch.validation.as_ref().and_then(|s| s.f1)) },
    Column { name: "AUC", cell: |epoch| number(epoch.validation.as_ref().and_then(|scores| scores.auc)) },
    Column { name: "learning rate", cell: |epoch| format!("{:.2e}", epoch.lr) },
    Column {
        name: "seconds",
        cell: |epoch| match epoch.seconds {
            seconds if seconds < 9.95 => format!("{seconds:.2}"),
            seconds => format!("{seconds:.1}"),
        },
    },
];

/// The columns in which some epoch has something.
pub(super) fn columns(epochs: &[Epoch]) -> Vec<&'static Column> {
    ALL.iter().filter(|column| epochs.iter().any(|epoch| !(column.cell)(epoch).is_empty())).collect()
}

/// The confusion matrix: for each actual class how often it was taken for each.
pub(super) fn matrix(confusion: &Confusion, classes: &[String]) -> Vec<Value> {
    let row = |right: usize| {
        let counts = || (0..confusion.classes()).map(|predicted| confusion.count(right, predicted));
        let total = counts().sum::<u64>().max(1) as f64;
        let cells = counts().enumerate().map(|(predicted, count)| {
            let share = format!("{:.3}", count as f64 / total * 0.8);
            context! { count, share, right => right == predicted, id => format!("m-{right}-{predicted}") }
        });
        context! { name => name(classes, right), cells => cells.collect::<Vec<_>>() }
    };
    (0..confusion.classes()).map(row).collect()
}

/// For each class: samples, those that were found, recall, precision and F1.
pub(super) fn per_class(confusion: &Confusion, classes: &[String]) -> Vec<Vec<String>> {
    let all = || 0..confusion.classes();
    let row = |class: usize| {
        let found = confusion.count(class, class);
        let samples: u64 = all().map(|predicted| confusion.count(class, predicted)).sum();
        let taken: u64 = all().map(|actual| confusion.count(actual, class)).sum();
        let share = |of: u64| (of > 0).then(|| found as f64 / of as f64);
        let f1 = (samples + taken > 0).then(|| 2.0 * found as f64 / (samples + taken) as f64);
        vec![
            name(classes, class),
            samples.to_string(),
            found.to_string(),
            percent(share(samples)),
            percent(share(taken)),
            number(f1),
        ]
    };
    all().map(row).collect()
}
