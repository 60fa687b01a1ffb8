"use strict";
// Shows openapi.json: calls by tag, with parameters, bodies and answers. No dependency.
const main = document.getElementById("calls");
const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const show = (schema, all, depth = 0) => {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 3 ? name : show(all[name], all, depth + 1);
  }
  if (schema.type === "array") return [show(schema.items, all, depth + 1)];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([key, value]) => [key + (schema.required?.includes(key) ? "" : "?"), show(value, all, depth + 1)]));
  }
  if (schema.enum) return schema.enum.join(" | ");
  for (const many of ["oneOf", "anyOf", "allOf"]) if (schema[many]) return schema[many].length === 1 ? show(schema[many][0], all, depth) : schema[many].map((one) => show(one, all, depth + 1));
  return Array.isArray(schema.type) ? schema.type.join(" | ") : schema.format ? `${schema.type} (${schema.format})` : schema.type ?? "any";
};
fetch("/openapi.json").then((answer) => answer.json()).then((api) => {
  const all = api.components?.schemas ?? {};
  const tags = new Map();
  for (const [path, calls] of Object.entries(api.paths)) {
    for (const [method, call] of Object.entries(calls)) {
      if (!call.responses) continue;
      const tag = call.tags?.[0] ?? "other";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push([method.toUpperCase(), path, call]);
    }
  }
  main.replaceChildren();
  for (const [tag, calls] of tags) {
    main.append(element("h2", tag));
    for (const [method, path, call] of calls) {
      const details = element("details");
      const summary = element("summary");
      summary.append(element("span", method, "method"), path);
      details.append(summary, element("p", call.description ?? call.summary ?? ""));
      for (const parameter of call.parameters ?? []) details.append(element("p", `${parameter.in} ${parameter.name}${parameter.required ? "" : "?"} ${parameter.description ?? ""}`));
      const body = call.requestBody?.content?.["application/json"]?.schema;
      if (body) details.append(element("p", "Body"), element("pre", JSON.stringify(show(body, all), null, 2)));
      for (const [status, answer] of Object.entries(call.responses)) {
        details.append(element("p", `${status} ${answer.description ?? ""}`));
        const schema = answer.content?.["application/json"]?.schema;
        if (schema) details.append(element("pre", JSON.stringify(show(schema, all), null, 2)));
      }
      details.dataset.text = `${method} ${path} ${tag}`.toLowerCase();
      main.append(details);
    }
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase().split(/\s+/);
    for (const details of main.querySelectorAll("details")) details.hidden = !wanted.every((word) => details.dataset.text.includes(word));
  });
}).catch((error) => main.replaceChildren(element("p", `The document could not be read: ${error}`)));
