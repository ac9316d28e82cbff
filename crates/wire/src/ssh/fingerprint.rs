//! HASSH of a server (Ben Reardon, Adel Karimi and the JA3 crew at Salesforce, BSD-3-Clause): what its
//! KEXINIT tells about the implementation, whatever its banner claims.

use md5::{Digest, Md5};

use super::{KexInit, SshError};
use crate::reader::Reader;

/// MD5, hexadecimal, of the lists for key exchange, and for encryption, MAC and compression from server
/// to client, as sent, joined by `;`. Takes the payload of the server's KEXINIT packet.
pub fn hassh_server(payload: &[u8]) -> Result<String, SshError> {
    let mut reader = Reader::new(payload);
    let mut lists = || {
        if reader.u8()? != KexInit::MESSAGE {
            return None;
        }
        reader.take(16)?;
        let mut lists: [&[u8]; 8] = [&[]; 8];
        for list in &mut lists {
            *list = reader.string()?;
        }
        let [kex, _host_key, _, cipher, _, mac, _, compression] = lists;
        Some([kex, cipher, mac, compression])
    };
    let lists = lists().ok_or(SshError::KexInit)?;
    Ok(hex::encode(Md5::digest(lists.join(&b';'))))
}
