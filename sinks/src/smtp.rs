//! A mail server that takes everything: RFC 5321 as senders need it.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{Fault, Sink, Tally, listen};

const MAX_MAIL: usize = 1 << 20;
const MAX_LINE: usize = 2_048;

/// Starts a server; messages are keyed by their Message-ID.
///
/// # Errors
/// When no port can be had.
pub async fn start(tally: Tally) -> io::Result<Sink> {
    start_on(0, tally).await
}

/// Starts a server on a port of one's own choice.
///
/// # Errors
/// When the port cannot be had.
pub async fn start_on(port: u16, tally: Tally) -> io::Result<Sink> {
    listen(port, tally, serve).await
}

async fn serve(socket: TcpStream, tally: Tally) -> io::Result<()> {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::with_capacity(16 * 1024, reader);
    writer.write_all(b"220 sink ESMTP\r\n").await?;
    let mut line = Vec::new();
    let mut mail = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let verb: [u8; 4] = std::array::from_fn(|n| line.get(n).map_or(b' ', u8::to_ascii_uppercase));
        let answer: &[u8] = match &verb {
            b"EHLO" => b"250-sink\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
            b"HELO" | b"MAIL" | b"RSET" | b"NOOP" => b"250 2.0.0 ok\r\n",
            b"RCPT" => match tally.fault() {
                Some(Fault::Throttle) => b"421 4.7.0 too fast\r\n",
                Some(Fault::Later) => b"451 4.3.0 later\r\n",
                Some(Fault::Gone) => b"550 5.1.1 no such user\r\n",
                Some(Fault::Silence) => return Ok(()),
                None => b"250 2.1.5 ok\r\n",
            },
            b"DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                read_mail(&mut reader, &mut mail).await?;
                let key = if tally.wants_keys() { message_id(&mail) } else { String::new() };
                tally.take(&key, &mail);
                b"250 2.0.0 taken\r\n"
            }
            b"QUIT" => {
                writer.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 5.5.2 what?\r\n",
        };
        writer.write_all(answer).await?;
        if answer.starts_with(b"421") {
            return Ok(());
        }
    }
}

/// Reads to the line that is a dot alone.
async fn read_mail(reader: &mut (impl AsyncBufReadExt + Unpin), mail: &mut Vec<u8>) -> io::Result<()> {
    mail.clear();
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (before, taken) = (mail.len(), chunk.len());
        mail.extend_from_slice(chunk);
        // The end may lie across two reads.
        let from = before.saturating_sub(4);
        let end = mail.get(from..).and_then(|tail| tail.windows(5).position(|five| five == b"\r\n.\r\n"));
        if let Some(end) = end {
            let length = from + end + 5;
            // Senders wait for the answer: nothing follows the end, or it belongs to the next command.
            reader.consume(length - before);
            mail.truncate(from + end + 2);
            return Ok(());
        }
        reader.consume(taken);
        if mail.len() > MAX_MAIL {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn message_id(mail: &[u8]) -> String {
    let head = String::from_utf8_lossy(mail.get(..2_048).unwrap_or(mail));
    head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or_default().to_owned()
}
