//! Choosing kernels by measurement: what is measured is right, what is recorded is used, and only where it counts.

use kiln::graph::{DType, Graph, text};
use kiln::train::{Loss, Optimizer, Training};
use kiln::tune::{Compile, Observer, Outcome, Settings, Tuning, tune};
use kiln::{Compiled, Error, Options, Precision, Record, Records};
use kiln_compile::Reason;

use crate::machine::Machine;

/// Two convolutions with one problem, another one with a residual, pooling, a matrix product; batches vary.
const NETWORK: &str = "graph network
input %x : f32[N, 8, 12, 12]
state @w1 : f32[16, 8, 3, 3] = fill(0.1)
state @w2 : f32[16, 16, 3, 3] = fill(-0.02)
state @w3 : f32[16, 16, 3, 3] = fill(0.03)
state @b : f32[16, 1, 1] = fill(0.5)
state @fc : f32[576, 10] = fill(0.01)
%c1 = conv(%x, @w1) pads=[[1, 1], [1, 1]]
%r1 = relu(%c1)
%c2 = conv(%r1, @w2) pads=[[1, 1], [1, 1]]
%b2 = add(%c2, @b)
%r2 = relu(%b2)
%c3 = conv(%r2, @w3) pads=[[1, 1], [1, 1]]
%b3 = add(%c3, @b)
%r3 = relu(%b3)
%sum = add(%r3, %r1)
%p = max_pool(%sum) kernel=[2, 2] strides=[2, 2]
%flat = reshape(%p) shape=[N, 576]
%y = matmul(%flat, @fc)
output y = %y
";

fn network() -> Graph {
    text::parse(NETWORK).unwrap_or_else(|e| panic!("{e}"))
}

fn options(machine: &Machine) -> Options {
    Options { target: machine.target.clone(), max: [("N".to_owned(), 5)].into(), ..Options::default() }
}

fn compiled(options: &Options) -> Result<Compiled, Error> {
    Ok(kiln::compile(&network(), options)?)
}

fn trained(options: &Options) -> Result<Compiled, Error> {
    Ok(kiln::compile_training(&network(), &Training::new(Loss::cross_entropy(), Optimizer::adam()), options)?)
}

/// Measures without looking at the clock.
fn tuned(machine: &Machine, compile: &Compile<'_>, options: &Options, program: &str) -> Tuning {
    let settings = Settings { seconds: 600.0, candidates: 3 };
    tune(&machine.device, compile, options, program, &settings, &mut ()).unwrap_or_else(|e| panic!("{e}"))
}

/// Every candidate computes what the evaluator does; nothing is slower afterwards; the records are found again.
#[test]
fn kernels_are_measured_and_recorded() {
    let machine = Machine::open();
    let options = options(&machine);
    for (compile, program) in [(&compiled as &Compile<'_>, "inference"), (&trained, "train")] {
        let tuning = tuned(&machine, compile, &options, program);
        assert_eq!((tuning.known, tuning.left), (0, 0));
        assert_eq!(tuning.whole_only, Vec::<String>::new());
        assert!(tuning.contests.len() >= 3, "{tuning:?}");
        for contest in &tuning.contests {
            let best =
                contest.entries.iter().filter_map(|entry| entry.seconds()).fold(f64::INFINITY, f64::min);
            for entry in &contest.entries {
                assert!(matches!(entry.outcome, Outcome::Seconds(s) if s > 0.0), "{contest:?}");
            }
            assert!(contest.behind().is_some_and(|behind| behind >= 1.0));
            let chosen = contest.seconds_of(&contest.choice).expect("it was measured");
            let kept = contest.choice == contest.before;
            assert!(kept || chosen == best && contest.gain() > 1.05, "{contest:?}");
        }
        if let Some(whole) = tuning.confirmation.filter(|whole| !whole.is_better()) {
            assert!(tuning.contests.iter().all(|contest| contest.choice == contest.before), "{whole:?}");
        }

        let mut known = options.clone();
        tuning.apply(&mut known.preferences.records);
        let made = compile(&known).unwrap_or_else(|e| panic!("{e}"));
        let selections = || made.programs.iter().filter(|p| p.name == program).flat_map(|p| &p.selections);
        for contest in &tuning.contests {
            let all: Vec<_> = selections().filter(|s| s.key == contest.key).collect();
            assert_eq!(all.len(), contest.groups);
            for selection in all {
                assert_eq!(selection.reason, Reason::Recorded);
                assert_eq!(selection.choice().to_string(), contest.choice);
            }
        }
        let again = tuned(&machine, compile, &known, program);
        assert_eq!((again.known, again.contests.len()), (tuning.contests.len(), 0));
        // A batch of up to seven shares its records with one of up to five, and one of up to nine does not.
        for (batch, is_known) in [(7, true), (9, false)] {
            let other = Options { max: [("N".to_owned(), batch)].into(), ..known.clone() };
            let other = compile(&other).unwrap_or_else(|e| panic!("{e}"));
            let other = other.programs.iter().filter(|p| p.name == program).flat_map(|p| &p.selections);
            let recorded = other.filter(|s| s.reason == Reason::Recorded && s.key.contains("<="));
            assert_eq!(recorded.count() > 0, is_known, "{program}, batch {batch}");
        }
    }
}

/// A record of other kernels, or of a choice that is not there, is passed over.
#[test]
fn records_count_for_the_same_kernels_only() {
    let options = options(&Machine::open());
    let made = compiled(&options).unwrap_or_else(|e| panic!("{e}"));
    let selection = made.programs[0].selections.iter().find(|s| s.group.starts_with("c2")).expect("a group");
    let other = selection
        .candidates
        .iter()
        .enumerate()
        .find(|(n, candidate)| *n != selection.chosen && candidate.refusal.is_none());
    let other = other.expect("another candidate").1.choice.to_string();
    for (choice, kernels, reason) in [
        (other.as_str(), selection.kernels, Reason::Recorded),
        (other.as_str(), selection.kernels ^ 1, Reason::Cheapest),
        ("no_such_family knob=1", selection.kernels, Reason::Cheapest),
    ] {
        let mut records = Records::default();
        records.insert(selection.key.clone(), Record { choice: choice.into(), kernels });
        let mut options = options.clone();
        options.preferences.records = records;
        let made = compiled(&options).unwrap_or_else(|e| panic!("{e}"));
        let found = made.programs[0].selections.iter().find(|s| s.group == selection.group).expect("it");
        assert_eq!(found.reason, reason, "{choice}");
    }
}

/// By itself, a group of layers is the same problem as in its program.
#[test]
fn groups_stand_by_themselves() {
    let machine = Machine::open();
    let options = options(&machine);
    let halves = Options { precision: Precision::F16, ..options.clone() };
    let in_halves = machine.target.float16.then(|| (compiled(&halves), &halves));
    for (made, options) in
        [(compiled(&options), &options), (trained(&options), &options)].into_iter().chain(in_halves)
    {
        let made = made.unwrap_or_else(|e| panic!("{e}"));
        let mut compared = 0;
        for program in &made.programs {
            for selection in &program.selections {
                let group = program.fusion.groups.iter().find(|group| group.name == selection.group);
                let group = group.expect("there are no loops");
                let values = group.inputs.iter().chain(&group.outputs).map(|id| program.graph.ty(*id).dtype);
                if values.into_iter().any(|dtype| !matches!(dtype, DType::F32 | DType::F16)) {
                    continue;
                }
                assert!(program.isolated(selection, options).is_some(), "{selection}");
                compared += 1;
            }
        }
        assert!(compared >= 5);
    }
}

/// What is stopped keeps what it has: nothing, if it is stopped before the first problem.
#[test]
fn measuring_stops_when_it_is_told_to() {
    struct Stopped(usize);
    impl Observer for Stopped {
        fn problem(&mut self, _: usize, _: usize, _: &str) {
            self.0 += 1;
        }
        fn is_stopped(&self) -> bool {
            self.0 >= 1
        }
    }
    let machine = Machine::open();
    let settings = Settings { seconds: 600.0, candidates: 3 };
    let mut observer = Stopped(0);
    let tuning = tune(&machine.device, &compiled, &options(&machine), "inference", &settings, &mut observer);
    let tuning = tuning.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(observer.0, 1);
    assert!(tuning.left >= 2 && tuning.contests.len() <= 1, "{tuning:?}");
    let unknown = tune(&machine.device, &compiled, &options(&machine), "train", &settings, &mut ());
    let error = unknown.expect_err("there is no such program").to_string();
    assert!(error.contains("train") && error.contains("inference"), "{error}");
}
