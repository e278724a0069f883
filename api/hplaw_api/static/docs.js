"use strict";
// Shows /schema/openapi.json: operations by tag with a form to try each, then the records they use.

const made = (tag, options = {}, ...children) => {
  const { className, ...rest } = options;
  const node = Object.assign(document.createElement(tag), rest);
  if (className) node.className = className;
  node.append(...children);
  return node;
};

// `code` in plain text
const prose = (text) =>
  (text ?? "").split("`").map((part, index) => (index % 2 ? made("code", {}, part) : part));

const named = (reference) => reference.split("/").pop();

const resolved = (api, item) =>
  item?.$ref ? item.$ref.slice(2).split("/").reduce((node, key) => node[key], api) : item;

const typed = (schema) => {
  if (!schema || Object.keys(schema).length === 0) return ["anything"];
  const name = schema.$ref ? named(schema.$ref) : schema.title;
  if (name) return [made("a", { href: `#${name}` }, name)];
  if (schema.anyOf && schema.type !== "object") return schema.anyOf.flatMap((one, index) => (index ? [" or ", ...typed(one)] : typed(one)));
  if (schema.enum) return [schema.enum.length > 8 ? "one of many names" : `one of ${schema.enum.join(", ")}`];
  if (schema.type === "array") return ["list of ", ...typed(schema.items)];
  if (schema.type === "object" && schema.properties) return ["object"];
  if (schema.type === "object") {
    const item = schema.additionalProperties;
    return item && item !== true ? ["names to ", ...typed(item)] : ["object"];
  }
  return [[].concat(schema.type).join(" or ")];
};

// 1e18, not 1000000000000000000
const short = (number) => (Math.abs(number) >= 1e4 ? number.toExponential().replace("e+", "e") : String(number));

const limits = (api, schema) => {
  const one = resolved(api, schema.type === "object" ? schema : (schema.anyOf?.find((part) => part.type !== "null") ?? schema));
  const words = [];
  if (one.exclusiveMinimum !== undefined) words.push(`> ${short(one.exclusiveMinimum)}`);
  if (one.minimum !== undefined) words.push(`≥ ${short(one.minimum)}`);
  if (one.maximum !== undefined) words.push(`≤ ${short(one.maximum)}`);
  return { text: words.join(", "), description: schema.description ?? one.description ?? "" };
};

const table = (api, rows) =>
  made("div", { className: "scroll" },
    made("table", {},
      made("thead", {}, made("tr", {}, ...["name", "type", "meaning"].map((head) => made("th", {}, head)))),
      made("tbody", {}, ...rows.map(([name, schema, description, required]) => {
        const limit = limits(api, schema);
        const meaning = [...prose(description ?? limit.description)];
        if (limit.text) meaning.push(made("span", { className: "small" }, ` ${limit.text}`));
        if (required) meaning.push(made("span", { className: "small" }, " required"));
        return made("tr", {}, made("td", {}, made("code", {}, name)), made("td", {}, ...typed(schema)), made("td", {}, ...meaning));
      }))));

const shown = async (reply) => {
  const text = await reply.text();
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

const trial = (path, method, operation) => {
  const fields = (operation.parameters ?? []).map((parameter) => {
    const input = made("input", { name: parameter.name, autocomplete: "off", spellcheck: false });
    if (parameter.in === "path") input.value = parameter.example ?? "";
    return { parameter, input };
  });
  const content = operation.requestBody?.content["application/json"];
  const body = content && made("textarea", { spellcheck: false, ariaLabel: "request body" });
  if (body) body.value = JSON.stringify(content.example ?? {}, null, 2);
  const key = operation.security && made("input", { type: "password", autocomplete: "off" });
  const answer = made("div", { ariaLive: "polite" });

  const send = async () => {
    let address = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of fields) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else for (const value of input.value.split(",").map((part) => part.trim()).filter(Boolean)) query.append(parameter.name, value);
    }
    const headers = body ? { "content-type": "application/json" } : {};
    if (key?.value) headers.authorization = `Bearer ${key.value}`;
    const url = query.size ? `${address}?${query}` : address;
    try {
      const reply = await fetch(url, { method: method.toUpperCase(), headers, body: body?.value });
      const status = made("p", { className: reply.ok ? "status" : "status bad" }, `${reply.status} ${reply.statusText}`);
      answer.replaceChildren(status, made("pre", { tabIndex: 0 }, await shown(reply)));
    } catch (error) {
      answer.replaceChildren(made("p", { className: "status bad" }, `no answer: ${error.message}`));
    }
  };

  return made("div", {},
    made("h3", {}, "Try it"),
    ...fields.map(({ parameter, input }) => made("label", {}, parameter.name, input)),
    ...(key ? [made("label", {}, "key", key)] : []),
    ...(body ? [body] : []),
    made("button", { type: "button", onclick: send }, "Send"),
    answer);
};

const operationView = (api, path, method, operation) => {
  const inside = made("div", { className: "inside" });
  const content = operation.requestBody?.content["application/json"];
  const fill = () => {
    if (operation.parameters) {
      const rows = operation.parameters.map((one) => [one.name, one.schema, one.description, one.required]);
      inside.append(made("h3", {}, "Parameters"), table(api, rows));
    }
    if (content) inside.append(made("h3", {}, "Body"), made("p", {}, ...typed(content.schema)));
    const replies = Object.entries(operation.responses).map(([status, one]) => {
      const response = resolved(api, one);
      const [kind, media] = Object.entries(response.content ?? {})[0] ?? [];
      const type = media ? [...typed(media.schema), made("span", { className: "small" }, ` ${kind}`)] : [];
      return made("tr", {}, made("td", {}, status), made("td", {}, ...prose(response.description)), made("td", {}, ...type));
    });
    inside.append(
      made("h3", {}, "Replies"),
      made("div", { className: "scroll" }, made("table", {}, made("tbody", {}, ...replies))),
      trial(path, method, operation));
  };
  return made("details", { className: "operation", ontoggle: () => inside.childElementCount || fill() },
    made("summary", {},
      made("span", { className: `method ${method}` }, method.toUpperCase()),
      made("code", {}, path),
      made("span", { className: "what" }, ...prose(operation.summary))),
    inside);
};

const recordView = (api, name, schema) => {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([field, one]) => [field, one, undefined, required.has(field)]);
  return made("details", { className: "record", id: name },
    made("summary", {}, made("code", {}, name)),
    made("div", { className: "inside" },
      made("p", {}, ...prose(schema.description)),
      rows.length ? table(api, rows) : made("pre", {}, (schema.enum ?? []).join("\n"))));
};

const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
};

const start = async () => {
  const about = document.getElementById("about");
  try {
    const api = await (await fetch("/schema/openapi.json")).json();
    about.replaceWith(...api.info.description.split("\n\n").map((part) => made("p", {}, ...prose(part))));
    document.getElementById("version").textContent = `version ${api.info.version}`;
    const sections = new Map();
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const tag = operation.tags[0];
        if (!sections.has(tag)) sections.set(tag, made("section", {}, made("h2", {}, tag)));
        sections.get(tag).append(operationView(api, path, method, operation));
      }
    }
    document.getElementById("operations").append(...sections.values());
    const records = document.getElementById("records");
    records.hidden = false;
    const names = Object.keys(api.components.schemas).sort();
    records.append(...names.map((name) => recordView(api, name, api.components.schemas[name])));
    addEventListener("hashchange", unfold);
    unfold();
  } catch (error) {
    about.textContent = `The description could not be read: ${error.message}`;
  }
};

start();
