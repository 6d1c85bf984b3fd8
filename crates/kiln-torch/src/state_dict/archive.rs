//! Zip archives from `torch.save`: `NAME/data.pkl` describes the tensors, `NAME/data/KEY` are their storages.
//!
//! Storages are not compressed, so they are used in place, and no size that the archive claims can exceed
//! the file.

use std::io::{self, Cursor};

use zip::read::{ArchiveOffset, Config, ZipReadOptions};
use zip::{CompressionMethod, ZipArchive};

use super::choose::choose;
use super::error::{Problem, listed, shown};
use super::tensors::{Maker, Storages};
use super::{StateDict, named};
use kiln_pickle::{Vocabulary, unpickle};

/// Reads the state dict of an archive.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, Problem> {
    let mut archive = Archive::open(bytes)?;
    if let Some(order) = archive.member("byteorder")?
        && order != b"little"
    {
        return Err(Problem::BigEndian);
    }
    let pickle = archive.member("data.pkl")?.unwrap_or_default();
    let pickled = unpickle(pickle, 0, Vocabulary::Tensors)?;
    let chosen = choose(&pickled.heap, pickled.value)?;
    let mut maker = Maker::new(&pickled.heap, &mut archive, bytes.len());
    let read = named(chosen.tensors, |name, tensor| maker.tensor(name, tensor))?;
    Ok(read.with_notes(chosen.notes))
}

struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that all members are in, with the slash.
    folder: String,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Problem> {
        // Without a given start of the archive, the reader guesses it wrong for some lengths of names.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes));
        let zip = zip.map_err(|_| Problem::Damaged("the list of members at its end is missing".into()))?;
        let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        let is_pickle = |name: &&str| name.split_once('/').is_some_and(|(_, rest)| rest == "data.pkl");
        let Some(pickle) = names.iter().map(String::as_str).find(is_pickle) else {
            return Err(Problem::ForeignZip { members: listed(names.iter().map(String::as_str)) });
        };
        let folder = pickle.trim_end_matches("data.pkl").to_owned();
        // A program has its constants beside the pickle, and its code in a folder.
        let is_program = |name: &str| name == "constants.pkl" || name.starts_with("code/");
        if names.iter().any(|name| name.strip_prefix(&*folder).is_some_and(is_program)) {
            return Err(Problem::TorchScript);
        }
        Ok(Self { bytes, zip, folder })
    }

    /// The bytes of a member, or nothing if there is none of this name.
    fn member(&mut self, name: &str) -> Result<Option<&'a [u8]>, Problem> {
        let Some(index) = self.zip.index_for_name(&format!("{}{name}", self.folder)) else { return Ok(None) };
        let damaged = |what: &str| Problem::Damaged(format!("its part `{}` {what}", shown(name)));
        let entry = self.zip.by_index_data(index).map_err(|_| damaged("cannot be found"))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Problem::Compressed { member: shown(name) });
        }
        // `torch.serialization.set_crc32_options(False)` saves without checksums.
        let unchecked = ZipReadOptions::new().ignore_crc32(entry.crc32() == 0);
        let file = self.zip.by_index_with_options(index, unchecked);
        let mut file = file.map_err(|_| damaged("cannot be found"))?;
        let start = file.data_start().and_then(|start| usize::try_from(start).ok());
        let content = start.zip(usize::try_from(file.size()).ok()).and_then(|(start, size)| {
            let end = start.checked_add(size)?;
            self.bytes.get(start..end)
        });
        let content = content.ok_or_else(|| damaged("reaches beyond the end of the file"))?;
        let read = io::copy(&mut file, &mut io::sink());
        let read = read.map_err(|_| damaged("does not have the checksum it should have"))?;
        if usize::try_from(read) != Ok(content.len()) {
            return Err(damaged("has another size than the archive says"));
        }
        Ok(Some(content))
    }
}

impl<'a> Storages<'a> for Archive<'a> {
    fn open(&mut self, key: &str) -> Result<&'a [u8], Problem> {
        let member = self.member(&format!("data/{key}"))?;
        member.ok_or_else(|| Problem::Damaged(format!("its part `data/{}` is missing", shown(key))))
    }
}
