//! Models from ONNX files, and as ONNX files.

use std::path::Path;

use kiln_onnx::{ExportError, ImportOptions, Imported};
use kiln_plan::Metadata;

use super::Model;
use crate::Error;

impl Model {
    pub(super) fn read_onnx(path: &Path, options: &ImportOptions) -> Result<Self, Error> {
        Self::of_imported(kiln_onnx::import(path, options)?)
    }

    /// Reads an ONNX file that is in memory, with its weights.
    pub fn from_onnx(bytes: &[u8], options: &ImportOptions) -> Result<Self, Error> {
        Self::of_imported(kiln_onnx::import_bytes(bytes, None, options)?)
    }

    fn of_imported(imported: Imported) -> Result<Self, Error> {
        let Imported { graph, metadata: properties, .. } = imported;
        let frozen = kiln_compile::train::normalizing(&graph);
        let metadata = Metadata::from_properties(&properties)?;
        Ok(Self { frozen, metadata, properties, ..Self::of_graph(graph) })
    }

    /// The model as an ONNX file, with its metadata.
    pub fn to_onnx(&self) -> Result<Vec<u8>, ExportError> {
        let mut properties = self.properties.clone();
        properties.retain(|key, _| !key.starts_with("kiln."));
        properties.extend(self.metadata.to_properties());
        kiln_onnx::export_with_metadata(&self.graph, &properties)
    }
}
