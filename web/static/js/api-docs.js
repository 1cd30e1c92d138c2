// Shows the OpenAPI document of this server to people.

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(cells, kind = "td") {
  const made = element("tr");
  made.append(...cells.map((cell) => element(kind, cell)));
  return made;
}

function shapes(schema, all, found = {}) {
  for (const [name] of JSON.stringify(schema ?? {}).matchAll(/(?<=#\/components\/schemas\/)\w+/g)) {
    if (name in found) continue;
    found[name] = all[name];
    shapes(all[name], all, found);
  }
  return found;
}

function schemaOf(title, content, all) {
  const made = element("div");
  for (const [media, { schema }] of Object.entries(content ?? {})) {
    made.append(element("h4", `${title}: ${media}`));
    const named = shapes(schema, all);
    const shown = Object.keys(named).length ? named : schema;
    made.append(element("pre", JSON.stringify(shown, null, 2)));
  }
  return made;
}

function operation(method, path, told, all) {
  const made = element("details");
  const head = element("summary");
  head.append(element("span", method.toUpperCase(), "method"), element("code", path));
  head.append(` ${told.summary}`);
  made.append(head, element("p", `Role: ${told["x-role"]}.`));
  if (told.parameters.length) {
    const table = element("table");
    table.append(row(["parameter", "in", "needed", "is"], "th"));
    for (const one of told.parameters) {
      table.append(row([one.name, one.in, one.required ? "yes" : "no", JSON.stringify(one.schema)]));
    }
    made.append(table);
  }
  made.append(schemaOf("Body", told.requestBody?.content, all));
  const [good] = Object.keys(told.responses).filter((status) => status < "400");
  made.append(schemaOf(`Answer ${good}`, told.responses[good]?.content, all));
  const refusals = Object.keys(told.responses).filter((status) => status >= "400");
  made.append(element("p", `Problems (application/problem+json): ${refusals.join(", ")}.`));
  return made;
}

async function show() {
  const place = document.getElementById("routes");
  const answer = await fetch("/api/v1/openapi.json");
  const api = await answer.json();
  if (!answer.ok) {
    place.replaceChildren(element("p", api.detail));
    return;
  }
  const shown = [];
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, told] of Object.entries(methods)) {
      shown.push(operation(method, path, told, api.components.schemas));
    }
  }
  place.replaceChildren(...shown);
}

show();
