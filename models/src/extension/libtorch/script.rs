use std::io::{Cursor, Write};

use tch::{CModule, IValue, Tensor};
use zip::ZipWriter;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

/// Functions in TorchScript, for operations of libtorch that `tch` does not bind.
///
/// They are the methods of a module without weights, as `torch.jit.save` would write it.
pub struct TorchScript(CModule);

impl TorchScript {
    /// Functions from their source: definitions in the form in which TorchScript is saved, each with `self` first.
    ///
    /// # Panics
    ///
    /// Where libtorch does not read them.
    pub fn new(functions: &str) -> Self {
        let archive = archive(functions).expect("memory can be written");
        let module = CModule::load_data(&mut Cursor::new(archive));
        Self(module.unwrap_or_else(|error| panic!("libtorch does not read a function: {error}")))
    }

    /// The tensors of the tuple that a function gives.
    ///
    /// # Panics
    ///
    /// Where libtorch does not run it, or it gives something else.
    pub fn tensors<const N: usize>(&self, function: &str, given: &[IValue]) -> [Tensor; N] {
        // of a thread: without it every call would be checked against the shapes of the first
        tch::jit::set_graph_executor_optimize(false);
        let found = match self.0.method_is(function, given) {
            Ok(IValue::Tuple(found)) => found,
            Ok(other) => panic!("{function} gives {other:?}"),
            Err(error) => panic!("libtorch does not run {function}: {error}"),
        };
        let tensors: Vec<_> = found
            .into_iter()
            .map(|found| match found {
                IValue::Tensor(tensor) => tensor,
                other => panic!("{function} gives {other:?}"),
            })
            .collect();
        tensors.try_into().unwrap_or_else(|found: Vec<_>| {
            panic!("{function} gives {} tensors and not {N}", found.len())
        })
    }
}

/// A saved module: its class, an object of it without attributes, and no constants.
fn archive(functions: &str) -> ZipResult<Vec<u8>> {
    let mut class = "class Functions(Module):\n".to_owned();
    for line in functions.lines() {
        class += &format!("  {line}\n");
    }
    let records: [(&str, &[u8]); 4] = [
        ("functions/data.pkl", b"\x80\x02c__torch__\nFunctions\n)\x81}b."),
        ("functions/constants.pkl", b"\x80\x02)."),
        // of the format; operations that libtorch has changed since its version 3 would be read as they were then
        ("functions/version", b"3\n"),
        ("functions/code/__torch__.py", class.as_bytes()),
    ];
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default();
    for (name, bytes) in records {
        archive.start_file(name, options.compression_method(zip::CompressionMethod::Stored))?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}
