//! A module for Python leaves Python's functions to the interpreter that loads it; macOS has to be told.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
