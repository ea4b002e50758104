//! No bytes make the reader panic; what it takes can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::cap;

fuzz_target!(|bytes: &[u8]| {
    let _ = cap::read_json(bytes);
    let _ = cap::read_document(bytes);
    if let Some(alert) = cap::read(bytes).alert
        && let Ok(text) = cap::write(&alert)
    {
        assert!(cap::read(text.as_bytes()).alert.is_some(), "{text}");
    }
});
