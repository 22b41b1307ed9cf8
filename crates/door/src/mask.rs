//! Masking of payloads (RFC 6455 §5.3): the same operation hides and shows.
//!
//! Trap avoided: a byte at a time costs more than everything else that is done with a message.

/// XORs `data` with `key`, where `data` begins `offset` bytes into the payload.
pub fn apply(data: &mut [u8], mut key: [u8; 4], offset: usize) {
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, tail) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition_at_every_length_and_offset() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let payload: Vec<u8> = (0..64u8).collect();
        for from in 0..payload.len() {
            for to in from..payload.len() {
                let mut masked = payload[from..to].to_vec();
                apply(&mut masked, key, from);
                let defined: Vec<u8> = (from..to).map(|at| payload[at] ^ key[at % 4]).collect();
                assert_eq!(masked, defined, "{from}..{to}");
            }
        }
    }
}
