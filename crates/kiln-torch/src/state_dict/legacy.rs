//! Files of `torch.save` before PyTorch 1.6, and of `_use_new_zipfile_serialization=False`: five pickles one after
//! another, of which the fourth describes the tensors and the fifth lists the storages that follow it.

use std::collections::HashMap;

use super::choose::choose;
use super::element::Element;
use super::error::{Problem, shown};
use super::tensors::{Maker, Storages};
use super::{StateDict, named};
use kiln_pickle::{Heap, Value, Vocabulary, unpickle};

/// The version of the format, the only one there has been.
const VERSION: i64 = 1001;

/// Reads the state dict of a file.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, Problem> {
    let magic = unpickle(bytes, 0, Vocabulary::Tensors)?;
    if magic.value != Value::Magic {
        return Err(Problem::PlainPickle);
    }
    let version = unpickle(bytes, magic.end, Vocabulary::Tensors)?;
    if version.value != Value::Int(VERSION) {
        return Err(Problem::Damaged(format!("its version is not {VERSION}")));
    }
    let system = unpickle(bytes, version.end, Vocabulary::Tensors)?;
    let settings = system.heap.dict(system.value).unwrap_or_default();
    let big = (settings.iter())
        .any(|(key, value)| system.heap.text(*key) == Some("little_endian") && *value == Value::Bool(false));
    if big {
        return Err(Problem::BigEndian);
    }
    let pickled = unpickle(bytes, system.end, Vocabulary::Tensors)?;
    let chosen = choose(&pickled.heap, pickled.value)?;
    let mut storages = Behind::new(bytes, pickled.end, &pickled.heap)?;
    let mut maker = Maker::new(&pickled.heap, &mut storages, bytes.len());
    let read = named(chosen.tensors, |name, tensor| maker.tensor(name, tensor))?;
    Ok(read.with_notes(chosen.notes))
}

/// The storages behind the pickles.
struct Behind<'a>(HashMap<String, &'a [u8]>);

impl<'a> Behind<'a> {
    fn new(bytes: &'a [u8], start: usize, heap: &Heap) -> Result<Self, Problem> {
        let mut elements: HashMap<&str, Element> = HashMap::new();
        for storage in heap.storages() {
            // PyTorch, too, goes by the first mention.
            elements.entry(heap.text(storage.key).unwrap_or_default()).or_insert(storage.element);
        }
        let list = unpickle(bytes, start, Vocabulary::Tensors)?;
        let keys = list.heap.list(list.value);
        let keys = keys.ok_or_else(|| Problem::Damaged("the list of its storages is missing".into()))?;
        let mut storages = HashMap::new();
        let mut rest = bytes.get(list.end..).unwrap_or_default();
        for key in keys {
            let element = list.heap.text(*key).and_then(|key| Some((key, *elements.get(key)?)));
            let (key, element) =
                element.ok_or_else(|| Problem::Damaged("it has a storage of unknown type".into()))?;
            let (storage, behind) = split(rest, element).ok_or_else(|| {
                Problem::Damaged(format!("it ends in the middle of its storage `{}`", shown(key)))
            })?;
            storages.insert(key.to_owned(), storage);
            rest = behind;
        }
        Ok(Self(storages))
    }
}

/// A storage, which is its number of elements and then the elements, and what follows it.
fn split(bytes: &[u8], element: Element) -> Option<(&[u8], &[u8])> {
    let (len, bytes) = bytes.split_first_chunk()?;
    let len = usize::try_from(i64::from_le_bytes(*len)).ok()?;
    bytes.split_at_checked(len.checked_mul(element.size())?)
}

impl<'a> Storages<'a> for Behind<'a> {
    fn open(&mut self, key: &str) -> Result<&'a [u8], Problem> {
        let storage = self.0.get(key).copied();
        storage.ok_or_else(|| Problem::Damaged(format!("its storage `{}` is missing", shown(key))))
    }
}
