//! The pages for everybody.

use super::support::{Cma, Server};
use super::{client, header, ids, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn pages_answer_in_one_line_in_both_languages_without_script_or_strangers() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma::new("y").xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let css = server.get("/assets/public.css").await.bytes().await.unwrap().len();
    for (path, zh, en) in [
        ("/".to_owned(), "目前有 1 条预警生效，最高级别：黄色。", "1 warning is in force; its level: Yellow."),
        (
            "/regions/310118".to_owned(),
            "青浦区：有危险。台风黄色预警，至 ",
            "Qingpu District: danger. Yellow typhoon warning until ",
        ),
        ("/regions/330106".to_owned(), "西湖区：目前没有生效的预警。", "no warnings are in force."),
        ("/sources/shanghai".to_owned(), "上海中心气象台", "Shanghai Observatory"),
        (
            format!("/events/{id}"),
            "上海中心气象台发布台风黄色预警",
            "Shanghai Observatory issues a yellow Typhoon warning",
        ),
        ("/regions?q=%E4%B8%8A".to_owned(), "我这里有危险吗？", "Is there danger where I am?"),
    ] {
        for (tag, words) in [("zh-CN", zh), ("en", en)] {
            let lang = if path.contains('?') { format!("&lang={tag}") } else { format!("?lang={tag}") };
            let answer = server.get(&format!("{path}{lang}")).await;
            assert_eq!(header(&answer, "content-language"), tag);
            assert!(header(&answer, "content-security-policy").contains("default-src 'none'"));
            let page = answer.text().await.unwrap();
            assert!(page.contains(words), "{path} {tag}: {page}");
            assert!(page.contains(&format!("<html lang=\"{tag}\" dir=\"ltr\">")));
            assert!(page.len() + css < 100_000, "{path}: {} and {css}", page.len());
            let outside = page.replace("http://www.w3.org/2000/svg", "");
            // Nothing but what makes it an app; the page is whole without.
            let outside = outside.replace("<script src=\"/assets/app.js\" type=\"module\"></script>", "");
            assert!(!outside.contains("<script") && !outside.contains("://") && !outside.contains("style="), "{path}");
            assert_eq!(page.matches("rel=\"stylesheet\"").count(), 1);
        }
        // A browser that asks for English gets it without a parameter.
        let asked = client().get(format!("{}{path}", server.url)).header("accept-language", "en-GB,en;q=0.9,zh;q=0.5");
        assert!(asked.send().await.unwrap().text().await.unwrap().contains("<html lang=\"en\""), "{path}");
    }
    let found =
        client().get(format!("{}/regions?q=%E9%9D%92%E6%B5%A6%E5%8C%BA&lang=en", server.url)).send().await.unwrap();
    assert_eq!((found.status().as_u16(), header(&found, "location").as_str()), (303, "/regions/310118?lang=en"));
    let steps = text(&server, "/regions/310118?lang=zh-CN").await;
    assert!(steps.contains("<ol class=\"steps\" lang=\"zh-CN\" dir=\"auto\"><li>"), "{steps}");
    for path in ["/", "/regions/310118", "/sources/shanghai", &format!("/events/{id}")] {
        let page = text(&server, path).await;
        assert!(page.contains("url(#h-yellow)") && page.contains("<svg class=\"map\" role=\"img\""), "{path}");
    }
}
