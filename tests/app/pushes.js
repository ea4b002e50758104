// What the worker does at each of several pushes, one after the other: a line of JSON for each.
const { own, ends, pushes } = JSON.parse(broken.pop());
subscription = subscribed("old", ends && Date.now() + ends * 86_400_000);
const state = async () => {
  if (own) await (await open("tocsin-state")).put("/state/browser", new Response(JSON.stringify({ ...own, subscription: JSON.stringify(subscription) })));
};
(async () => {
  await state();
  for (const told of pushes) {
    did.length = 0;
    const json = () => { if (told === null) throw new SyntaxError("no words"); return told; };
    await happens("push", { data: { json } });
    console.log(JSON.stringify(did));
  }
})();
