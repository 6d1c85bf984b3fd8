//! Training: data sets, augmentation, schedules, metrics, checkpoints, the loop.

use kiln_compile::{Options, compile_training, train};
use kiln_runtime::Session;
pub use kiln_train::{
    Checkpoints, Damaged, DataError, End, Evaluation, Interface, Mean, Observer, Outcome, Progress, Rate,
    Resumed, Separate, Settings, Step, TrainError, Trainer, activations, augment, checkpoint, data, evaluate,
    evaluate_outputs, history, landscape, loader, lr_finder, metrics, normalize, npy, picture, report,
    schedule, tensorboard,
};

use crate::graph::{Graph, GraphError};
use crate::{Error, default_device, from_host, target_for};

/// Compiles a training of `model` with batches up to `batch`, and loads it on the device that the environment asks for.
pub fn trainer(model: &Graph, training: &train::Training, batch: u32) -> Result<Trainer, Error> {
    let target = target_for(&default_device()?);
    let max = model.symbols().iter().map(|symbol| (symbol.to_string(), batch)).collect();
    let options = Options { target, max, ..Options::default() };
    let compiled = compile_training(model, training, &options)?;
    let mut trainer = Trainer::new(Session::open(&compiled.plan)?, training)?;
    trainer.looks_with(separate(model, training, &options));
    Ok(trainer)
}

/// How a training's plan is made with a dispatch for each kernel, for [`Trainer::looks_with`].
pub fn separate(model: &Graph, training: &train::Training, options: &Options) -> Separate {
    let (model, training) = (model.clone(), training.clone());
    let options = Options { separate: true, ..options.clone() };
    Box::new(move || match compile_training(&model, &training, &options) {
        Ok(compiled) => Ok(compiled.plan),
        Err(error) => Err(TrainError::Plan(error.to_string())),
    })
}

/// Where a training plan has the weight `name` of its model as it is evaluated and kept: the average, where there is one.
pub fn weight(session: &Session, name: &str) -> Option<usize> {
    session.find_tensor(&train::averaged(name)).or_else(|| session.find_tensor(name))
}

/// The model with a trainer's current weights, or their averages where it keeps some. If targets were scaled, the last layer
/// scales back.
pub fn trained(trainer: &mut Trainer, model: &Graph) -> Result<Graph, Error> {
    let mut model = model.clone();
    for id in model.states().to_vec() {
        if let Some(index) = weight(trainer.session(), &model.value(id).name) {
            let tensor = trainer.session().read_tensor(index)?;
            let tensor = from_host(&tensor).map_err(GraphError::from)?;
            model.set_state(id, tensor)?;
        }
    }
    let session = trainer.session();
    let mut numbers = |name: &str| -> Result<Option<Vec<f32>>, Error> {
        let Some(index) = session.find_tensor(name) else { return Ok(None) };
        Ok(Some(session.read_tensor(index)?.to_f64().into_iter().map(|x| x as f32).collect()))
    };
    let (mean, std) = (numbers(train::TARGET_MEAN)?, numbers(train::TARGET_STD)?);
    let output = trainer.interface().output.clone();
    let output = model.outputs().iter().find(|other| other.name == output).map(|output| output.value);
    match (mean, std, output) {
        (Some(mean), Some(std), Some(output)) => {
            Ok(train::fold(&model, output, &train::TargetScale { mean, std })?)
        }
        _ => Ok(model),
    }
}
