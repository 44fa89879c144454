//! Tests of the JSON codec in its canonical dialect and in Runyard's own dialect.

mod dialect;
mod hostile;
mod oracle;
mod random;
mod text;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;
use runyard::wire::codec;
use runyard_transcode::json::{Codec, CodecError, Dialect};

static CONTRACT: LazyLock<Subject> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(runyard::contract::DESCRIPTORS).unwrap();
    Subject {
        codec: codec::json(&pool),
        pool,
    }
});

static EVERYTHING: LazyLock<Subject> = LazyLock::new(|| {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut compiler = protox::Compiler::new([format!("{root}/tests/it/json"), format!("{root}/proto")]).unwrap();
    compiler.include_imports(true).open_file("everything.proto").unwrap();
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
    Subject {
        codec: codec::json(&pool),
        pool,
    }
});

struct Subject {
    pool: DescriptorPool,
    codec: Codec,
}

impl Subject {
    fn encode(&self, message: &str, dialect: Dialect, wire: &[u8]) -> Result<String, CodecError> {
        let mut json = Vec::new();
        self.codec
            .encode(self.codec.message(message).unwrap(), dialect, wire, &mut json)?;
        Ok(String::from_utf8(json).unwrap())
    }

    fn decode(&self, message: &str, dialect: Dialect, json: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut wire = Vec::new();
        self.codec
            .decode(self.codec.message(message).unwrap(), dialect, json, &mut wire)?;
        Ok(wire)
    }

    fn decode_text(&self, message: &str, path: &str, text: &str) -> Result<Vec<u8>, CodecError> {
        let mut wire = Vec::new();
        let message = self.codec.message(message).unwrap();
        self.codec
            .decode_text((message, path), Dialect::Plain, text, &mut wire)?;
        Ok(wire)
    }
}
