//! AES: what another has encrypted is read, and what only another may read is written.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::consts::{U12, U16};
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    KeyInit, KeyIvInit,
};
use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, Nonce, Payload};
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Binary, Text};
use super::forms::{binary, failed};
use super::{BindContext, Function, Param, function};
use crate::expr::access::{bytes, text};
use crate::expr::body::Outcome;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "aes_encrypt",
        "aes_encrypt(content, key[, mode[, padding[, iv[, aad]]]])",
        "The content encrypted with a key of 16, 24 or 32 bytes, in mode 'GCM' (if none is given), 'CBC' or 'ECB', as a BINARY. In GCM and CBC it begins with the iv (12 and 16 bytes), another one each time if none is given. aad, in GCM alone, is not encrypted, and is needed to decrypt.",
        "base64(aes_encrypt('Spark SQL', '1234567890abcdef', 'ECB', 'PKCS'))",
        "3lmwu+Mw0H3fi5NDvcu9lg==",
        bind_encrypt,
    ),
    function(
        "aes_decrypt",
        "aes_decrypt(encrypted, key[, mode[, padding[, aad]]])",
        "What aes_encrypt has encrypted, as a BINARY; an error where key, mode or aad are not those it was encrypted with.",
        "CAST(aes_decrypt(unhex('83F16B2AA704794132802D248E6BFD4E380078182D1544813898AC97E709B28A94'), '0000111122223333') AS STRING)",
        "Spark",
        |args, cx| bind_decrypt(args, cx, true),
    ),
    function(
        "try_aes_decrypt",
        "try_aes_decrypt(encrypted, key[, mode[, padding[, aad]]])",
        "What aes_decrypt gives; NULL where that is an error.",
        "try_aes_decrypt(unhex('83F16B2AA704794132802D248E6BFD4E380078182D1544813898AC97E709B28A94'), '1111222233334444')",
        "NULL",
        |args, cx| bind_decrypt(args, cx, false),
    ),
];

const PARAMS: [Param; 6] = [Binary, Binary, Text, Text, Binary, Binary];

fn bind_encrypt(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &PARAMS, 2)?;
    let call = |v: &[Value]| -> Outcome {
        let mode = Mode::of(v)?;
        let given = v.get(4).map_or(&[][..], bytes);
        let aad = v.get(5).map_or(&[][..], bytes);
        let mut out = mode.iv(given)?;
        mode.check(aad)?;
        let key = bytes(&v[1]);
        let encrypted = match key.len() {
            16 => encrypt::<aes::Aes128>(mode, key, &out, aad, bytes(&v[0])),
            24 => encrypt::<aes::Aes192>(mode, key, &out, aad, bytes(&v[0])),
            32 => encrypt::<aes::Aes256>(mode, key, &out, aad, bytes(&v[0])),
            other => return Err(wrong_key(other)),
        };
        out.extend(encrypted.ok_or_else(|| failed("the content cannot be encrypted"))?);
        Ok(binary(&out))
    };
    // With an iv that the job gives it is the same each time.
    let mode = args.get(2).and_then(Typed::constant_text);
    let iv = args.get(4).and_then(Typed::constant);
    if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ECB"))
        || iv.is_some_and(|iv| !iv.is_null() && !bytes(iv).is_empty())
    {
        return cx.strict(DataType::Binary, args, call);
    }
    let nullable = args.iter().any(|arg| arg.nullable);
    let mut typed = cx.volatile(DataType::Binary, args, move || {
        Box::new(move |v| {
            if v.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            call(v)
        })
    })?;
    typed.nullable = nullable;
    Ok(typed)
}

fn bind_decrypt(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let [content, key, mode, padding, _, aad] = PARAMS;
    let args = cx.take(args, &[content, key, mode, padding, aad], 2)?;
    let call = |v: &[Value]| -> Outcome {
        let mode = Mode::of(v)?;
        let aad = v.get(4).map_or(&[][..], bytes);
        let key = bytes(&v[1]);
        let decrypted = match key.len() {
            16 => decrypt::<aes::Aes128>(mode, key, aad, bytes(&v[0])),
            24 => decrypt::<aes::Aes192>(mode, key, aad, bytes(&v[0])),
            32 => decrypt::<aes::Aes256>(mode, key, aad, bytes(&v[0])),
            other => return Err(wrong_key(other)),
        }?;
        let wrong = || failed("it was not encrypted with this key, mode and aad, or has changed");
        decrypted.map(|out| binary(&out)).ok_or_else(wrong)
    };
    if strict {
        return cx.strict(DataType::Binary, args, call);
    }
    cx.partial(DataType::Binary, args, move |v| {
        Ok(call(v).unwrap_or(Value::Null))
    })
}

fn wrong_key(bytes: usize) -> RecordError {
    failed(format!("the key has 16, 24 or 32 bytes, not {bytes}"))
}

/// How blocks of 16 bytes are chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc,
    Gcm,
}

impl Mode {
    /// The mode that the third and fourth argument name.
    fn of(v: &[Value]) -> Result<Self, RecordError> {
        let mode = v.get(2).map_or("GCM", text);
        let padding = v.get(3).map_or("DEFAULT", text);
        let is = |wanted: &str, own: &str| {
            mode.eq_ignore_ascii_case(wanted)
                && [own, "DEFAULT"]
                    .iter()
                    .any(|p| padding.eq_ignore_ascii_case(p))
        };
        if is("GCM", "NONE") {
            Ok(Self::Gcm)
        } else if is("CBC", "PKCS") {
            Ok(Self::Cbc)
        } else if is("ECB", "PKCS") {
            Ok(Self::Ecb)
        } else {
            Err(failed(
                "mode and padding are 'GCM' and 'NONE', 'CBC' and 'PKCS', or 'ECB' and 'PKCS'; \
                 'DEFAULT' is the mode's own padding",
            ))
        }
    }

    fn iv_bytes(self) -> usize {
        match self {
            Self::Ecb => 0,
            Self::Cbc => 16,
            Self::Gcm => 12,
        }
    }

    /// The iv to begin with: the one that is given, or a random one.
    fn iv(self, given: &[u8]) -> Result<Vec<u8>, RecordError> {
        let expected = self.iv_bytes();
        match given.len() {
            0 => {
                let mut iv = vec![0; expected];
                getrandom::fill(&mut iv).map_err(|_| failed("the system has no random numbers"))?;
                Ok(iv)
            }
            _ if expected == 0 => Err(failed("the mode ECB takes no iv")),
            other if other == expected => Ok(given.to_vec()),
            other => Err(failed(format!(
                "the iv of this mode has {expected} bytes, not {other}"
            ))),
        }
    }

    fn check(self, aad: &[u8]) -> Result<(), RecordError> {
        if aad.is_empty() || self == Self::Gcm {
            return Ok(());
        }
        Err(failed("only the mode GCM takes an aad"))
    }
}

/// The content without the iv before it; None where it cannot be encrypted: it is too long.
fn encrypt<C>(mode: Mode, key: &[u8], iv: &[u8], aad: &[u8], content: &[u8]) -> Option<Vec<u8>>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    match mode {
        Mode::Ecb => {
            let cipher = ecb::Encryptor::<C>::new_from_slice(key).ok()?;
            Some(cipher.encrypt_padded_vec::<Pkcs7>(content))
        }
        Mode::Cbc => {
            let cipher = cbc::Encryptor::<C>::new_from_slices(key, iv).ok()?;
            Some(cipher.encrypt_padded_vec::<Pkcs7>(content))
        }
        Mode::Gcm => {
            let cipher = AesGcm::<C, U12>::new_from_slice(key).ok()?;
            let nonce: &Nonce<AesGcm<C, U12>> = iv.try_into().ok()?;
            cipher.encrypt(nonce, Payload { msg: content, aad }).ok()
        }
    }
}

/// What was encrypted; None where it was not with this key.
///
/// # Errors
/// When the mode takes no aad, or the content is shorter than what every content begins with.
fn decrypt<C>(
    mode: Mode,
    key: &[u8],
    aad: &[u8],
    content: &[u8],
) -> Result<Option<Vec<u8>>, RecordError>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let Some((iv, content)) = content.split_at_checked(mode.iv_bytes()) else {
        return Err(failed(
            "the content is shorter than the iv that it begins with",
        ));
    };
    if mode == Mode::Cbc {
        mode.check(aad)?;
    }
    // Java decrypts nothing to nothing, although every content has a padding.
    if content.is_empty() && mode != Mode::Gcm {
        return Ok(Some(Vec::new()));
    }
    let whole = || -> Option<Vec<u8>> {
        match mode {
            Mode::Ecb => {
                let cipher = ecb::Decryptor::<C>::new_from_slice(key).ok()?;
                cipher.decrypt_padded_vec::<Pkcs7>(content).ok()
            }
            Mode::Cbc => {
                let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
                cipher.decrypt_padded_vec::<Pkcs7>(content).ok()
            }
            Mode::Gcm => {
                let cipher = AesGcm::<C, U12>::new_from_slice(key).ok()?;
                let nonce: &Nonce<AesGcm<C, U12>> = iv.try_into().ok()?;
                cipher.decrypt(nonce, Payload { msg: content, aad }).ok()
            }
        }
    };
    Ok(whole())
}
