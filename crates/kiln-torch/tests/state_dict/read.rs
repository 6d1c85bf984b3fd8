//! Every file is read as PyTorch reads it, or refused with words that help.

use std::path::Path;

use kiln_torch::state_dict::{Problem, StateDict, StateDictError};

use crate::{bytes, described, expected, fixture};

#[test]
fn files_are_read_as_pytorch_reads_them() {
    let files = expected("read");
    assert!(files.len() > 20);
    for (name, tensors) in files {
        let state_dict = StateDict::read(&fixture(&name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(described(&state_dict), tensors, "{name}");
    }
}

#[test]
fn errors_say_what_the_file_is() {
    let files = expected("refused");
    assert!(files.len() > 20);
    for (name, words) in files {
        let error = StateDict::read(&fixture(&name)).unwrap_err().to_string();
        println!("{error}\n");
        assert!(error.starts_with('`') && error.contains(&format!("{name}` ")), "{error}");
        for word in words.as_array().unwrap() {
            assert!(error.contains(word.as_str().unwrap()), "{name}: {word} is not in: {error}");
        }
    }
}

#[test]
fn errors_read_as_sentences() {
    let error = |name: &str| StateDict::from_bytes(&bytes(name)).unwrap_err().to_string();
    let texts: Vec<String> =
        ["whole_model.pt", "no_tensors.pt", "not_a_tensor.pt", "huge.pt", "scripted.pt", "other.zip"]
            .map(error)
            .into();
    insta::assert_snapshot!(texts.join("\n"), @r"
    the file holds `__main__.Net`, but a state dict has only tensors and Kiln runs no code from files; save `model.state_dict()`, as in `torch.save(model.state_dict(), ...)`, not the model or other objects
    the file has no state dict: neither names with tensors, nor a dict of them, as under `state_dict`, `model_state_dict` or `model`; its keys are `epoch`, `lr`, `7`
    the file has a number under `steps`, but in a state dict there are only tensors; remove it before saving
    the file has tensors that together take more than four times its size, `huge` among them; if that is an expanded tensor, save the part that it repeats
    the file is a TorchScript archive, a model with its program (`torch.jit.save`); save `model.state_dict()` with `torch.save` instead
    the file is a zip archive, but not one from `torch.save`: it has no `data.pkl`; its members are `notes.txt`
    ");
}

#[test]
fn order_names_and_aliases_survive() {
    let aliases = StateDict::read(&fixture("aliases.pt")).unwrap();
    let names: Vec<&str> = aliases.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["encoder.weight", "decoder.weight", "flat"]);
    let data = |name| aliases.get(name).unwrap().data();
    assert!(std::ptr::eq(data("encoder.weight"), data("decoder.weight")));
    assert_eq!(aliases.get("nothing"), None);
    assert_eq!(aliases.len(), 3);
}

#[test]
fn what_should_be_known_of_a_checkpoint_is_noted() {
    let notes = |name: &str| StateDict::read(&fixture(name)).unwrap().notes().join("; ");
    let lightning = "it is a checkpoint of Lightning 2.5.1: `state_dict` was read, hyperparameters, callbacks and optimizers were not";
    for (name, expected) in [
        ("lightning.ckpt", lightning),
        ("lightning_old.ckpt", lightning),
        ("own_name.pt", "its `student` was read"),
        ("only_average.pt", "its weights are an average, `state_dict_ema`"),
        ("wrapped_twice.pt", ""),
        ("checkpoint.pt", ""),
        ("net.pt", ""),
    ] {
        assert_eq!(notes(name), expected, "{name}");
    }
}

#[test]
fn cut_files_are_called_cut() {
    for name in ["net.pt", "net_old.pth", "types.safetensors", "very_old.pth"] {
        let whole = bytes(name);
        for length in [whole.len() / 2, whole.len() - 1] {
            let error = StateDict::from_bytes(&whole[..length]).unwrap_err();
            let StateDictError::File { path: None, problem: Problem::Damaged(_) } = error else {
                panic!("{name} with {length} bytes: {error}")
            };
        }
    }
}

#[test]
fn damaged_weights_are_noticed_in_archives() {
    let mut bytes = bytes("net.pt");
    let weight = 0.128_416_64_f32.to_le_bytes();
    let place = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[place] ^= 1;
    let error = StateDict::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn what_cannot_be_opened_says_so() {
    let error = |path: &Path| StateDict::read(path).unwrap_err().to_string();
    assert!(error(&fixture("absent.pt")).contains("absent.pt` cannot be read: "));
    assert!(error(&fixture("")).contains("cannot be read: it is a folder"));
}
