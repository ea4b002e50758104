//! Message encryption for web push (RFC 8291) in one aes128gcm record (RFC 8188).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::config::PushError;
use super::subscription::Subscription;

/// The most bytes of a payload: services take bodies of 4,096 (RFC 8030 section 7.2), of which 86 are the header, 16 the tag
/// and 1 the delimiter.
pub const MAX_PLAIN: usize = 4_096 - HEADER - 16 - 1;
const HEADER: usize = 16 + 4 + 1 + 65;
const RECORD: u32 = 4_096;

/// The body of a push: salt, record size, our ephemeral key, ciphertext.
///
/// # Errors
/// When the subscription's key is no point on the curve, or there is no randomness to be had.
pub fn encrypt(to: &Subscription, plain: &[u8], random: &SystemRandom) -> Result<Vec<u8>, PushError> {
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, random).map_err(|_| PushError::Crypto("make a key"))?;
    let public = ours.compute_public_key().map_err(|_| PushError::Crypto("make a key"))?;
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| PushError::Crypto("make a salt"))?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &to.p256dh);
    let secrets = agree_ephemeral(ours, &theirs, |shared| derive(shared, &to.auth, &to.p256dh, public.as_ref(), &salt));
    let (key, nonce) = secrets.map_err(|_| PushError::Crypto("use the subscription's key: it is no point on P-256"))?;

    let mut body = Vec::with_capacity(HEADER + plain.len() + 17);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD.to_be_bytes());
    body.push(65);
    body.extend_from_slice(public.as_ref());
    body.extend_from_slice(plain);
    // The delimiter of the last record (RFC 8188 section 2).
    body.push(2);
    let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| PushError::Crypto("encrypt"))?;
    let sealed = body.get_mut(HEADER..).ok_or(PushError::Crypto("encrypt"))?;
    let tag = LessSafeKey::new(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), sealed)
        .map_err(|_| PushError::Crypto("encrypt"))?;
    body.extend_from_slice(tag.as_ref());
    Ok(body)
}

/// Content-encryption key and nonce (RFC 8291 section 3.4).
fn derive(shared: &[u8], auth: &[u8; 16], theirs: &[u8; 65], ours: &[u8], salt: &[u8; 16]) -> ([u8; 16], [u8; 12]) {
    let prk_key = hmac_sha256(auth, &[shared]);
    let ikm = hmac_sha256(&prk_key, &[b"WebPush: info\0", theirs, ours, &[1]]);
    let prk = hmac_sha256(salt, &[&ikm]);
    let key = hmac_sha256(&prk, &[b"Content-Encoding: aes128gcm\0", &[1]]);
    let nonce = hmac_sha256(&prk, &[b"Content-Encoding: nonce\0", &[1]]);
    (first(&key), first(&nonce))
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    first(context.sign().as_ref())
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    first
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn keys_are_those_of_rfc_8291_appendix_a() {
        let (key, nonce) = derive(
            &bytes::<32>("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"),
            &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
            &bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            &bytes::<65>("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"),
            &bytes("DGv6ra1nlYgDCS1FRnbzlw"),
        );
        assert_eq!(key, bytes("oIhVW04MRdy2XN9CiKLxTg"));
        assert_eq!(nonce, bytes("4h_95klXJ5E_qnoN"));
    }

    #[test]
    fn a_full_payload_fits_what_services_take() {
        let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let p256dh = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
        let to = Subscription { endpoint: "https://push.example/".parse().unwrap(), p256dh, auth: [1; 16] };
        let body = encrypt(&to, &[b'a'; MAX_PLAIN], &SystemRandom::new()).unwrap();
        assert_eq!(body.len(), 4_096);
        let off_curve = Subscription { p256dh: [4; 65], ..to };
        assert!(encrypt(&off_curve, b"x", &SystemRandom::new()).is_err());
    }
}
