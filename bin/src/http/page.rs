//! The page at `/`: files that are a part of the program, packed once.

use std::io::Write;
use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::refused;

/// A file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    packed: OnceLock<Vec<u8>>,
}

const fn file(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> File {
    File {
        name,
        kind,
        bytes,
        packed: OnceLock::new(),
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static FILES: [File; 9] = [
    file(
        "",
        "text/html; charset=utf-8",
        include_bytes!("../page/index.html"),
    ),
    // Two in one: a browser asks for six files at once, and this and the five scripts are six.
    file(
        "page.css",
        STYLE,
        concat!(
            include_str!("../page/uplot/uPlot.min.css"),
            "\n",
            include_str!("../page/page.css")
        )
        .as_bytes(),
    ),
    file("page.js", SCRIPT, include_bytes!("../page/page.js")),
    file("access.js", SCRIPT, include_bytes!("../page/access.js")),
    file("charts.js", SCRIPT, include_bytes!("../page/charts.js")),
    file("picture.js", SCRIPT, include_bytes!("../page/picture.js")),
    file("words.js", SCRIPT, include_bytes!("../page/words.js")),
    file(
        "uPlot.iife.min.js",
        SCRIPT,
        include_bytes!("../page/uplot/uPlot.iife.min.js"),
    ),
    file(
        "icon.svg",
        "image/svg+xml",
        include_bytes!("../page/icon.svg"),
    ),
];

/// The page loads from its own address only, runs no script that stands in it, and is in no frame.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

fn packs(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        let mut all = accepted.split(',');
        all.any(|one| one.trim().eq_ignore_ascii_case("gzip"))
    })
}

impl File {
    fn packed(&self) -> &[u8] {
        self.packed.get_or_init(|| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            // Writing to memory does not fail.
            let _ = packer.write_all(self.bytes);
            packer.finish().unwrap_or_default()
        })
    }

    fn answer(&'static self, headers: &HeaderMap) -> HttpResponse {
        let mut answer = HttpResponse::Ok();
        answer
            .content_type(self.kind)
            .insert_header((header::VARY, "Accept-Encoding"));
        if packs(headers) {
            answer
                .insert_header((header::CONTENT_ENCODING, "gzip"))
                .body(self.packed())
        } else {
            answer.body(self.bytes)
        }
    }
}

/// `/`.
pub(super) async fn index(request: HttpRequest) -> HttpResponse {
    FILES[0].answer(request.headers())
}

/// `/page/...`.
pub(super) async fn part(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    match FILES
        .iter()
        .find(|file| !name.is_empty() && file.name == *name)
    {
        Some(file) => file.answer(request.headers()),
        None => refused(404, "the page has no such file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser loads at most, not packed.
    const PAGE_BYTES_MAX: usize = 150_000;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let all: usize = FILES.iter().map(|file| file.bytes.len()).sum();
        assert!(all <= PAGE_BYTES_MAX, "{all}");
        for file in &FILES {
            let text = String::from_utf8_lossy(file.bytes);
            // Names of namespaces and of the library's home are no addresses that are asked.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            let text = text.replace("https://github.com/leeoniya/uPlot", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                file.name
            );
        }
    }

    #[test]
    fn the_page_names_files_that_there_are_and_no_script_of_its_own() {
        let page = String::from_utf8_lossy(FILES[0].bytes);
        let named = page
            .split(['"', '\''])
            .filter_map(|part| part.strip_prefix("/page/"));
        let named: Vec<&str> = named.collect();
        assert!(named.len() > 3);
        for name in named {
            assert!(FILES.iter().any(|file| file.name == name), "{name}");
        }
        assert!(
            !page.contains("<script>") && !page.contains("style=") && !page.contains("onclick")
        );
    }

    #[test]
    fn what_is_packed_is_the_same() {
        use std::io::Read;
        let file = &FILES[0];
        let mut text = Vec::new();
        let mut unpacked = flate2::read::GzDecoder::new(file.packed());
        unpacked.read_to_end(&mut text).unwrap();
        assert_eq!(text, file.bytes);
    }
}
