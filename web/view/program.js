// What is known of a program's kernels: which dispatch each group is in, how long it takes, who shares it.

/** Notes at the boxes of a program which dispatches they are in, and their time. */
function withDispatches(stage) {
  if (!stage.groups || stage.dispatchOf) return stage;
  stage.dispatchOf = new Map();
  stage.dispatches.forEach((dispatch, n) => {
    for (const launch of dispatch.launches) stage.dispatchOf.set(launch, n);
  });
  stage.groupOf = new Map();
  stage.boxes.forEach((box) => {
    for (const launch of box.group?.launches ?? []) stage.groupOf.set(launch, box);
  });
  for (const box of stage.boxes) {
    if (!box.group) continue;
    box.dispatches = [...new Set(box.group.launches.map((launch) => stage.dispatchOf.get(launch)))];
    const shared = box.dispatches.filter((n) => stage.dispatches[n].launches.length > 1);
    if (shared.length > 0) box.sharing = `dispatch ${shared.join(", ")}`;
    if (stage.profile && box.dispatches.length > 0) box.seconds = secondsOf(stage, box);
  }
  return stage;
}

/** The measured time of a group: of dispatches that it shares, its part by launches. */
function secondsOf(stage, box) {
  return box.dispatches.reduce((sum, n) => {
    const { launches } = stage.dispatches[n];
    const own = launches.filter((launch) => box.group.launches.includes(launch)).length;
    return sum + ((stage.profile.seconds[n] ?? 0) * own) / launches.length;
  }, 0);
}

/** The boxes that share a dispatch with one. */
function sharing(stage, box) {
  const others = new Set();
  for (const n of box.dispatches ?? []) {
    for (const launch of stage.dispatches[n].launches) {
      const other = stage.groupOf.get(launch);
      if (other && other !== box) others.add(other);
    }
  }
  return [...others];
}

/** The names of the parameters of a kernel, as its text declares them. */
function parameterNames(wgsl) {
  const found = /struct\s+Params\s*\{([^}]*)\}/.exec(wgsl);
  return found ? [...found[1].matchAll(/(\w+)\s*:/g)].map((match) => match[1]) : [];
}

const WORDS = /(\/\/[^\n]*)|\b(fn|let|var|const|for|if|else|return|struct|while|loop|switch|case|default|break|continue|enable|override)\b|\b(f32|f16|u32|i32|bool|vec[234]|array|mat\w+|atomic)\b|\b(\d[\w.]*)\b/g;

/** WGSL with its words marked. */
function coloured(wgsl) {
  const made = document.createElement("pre");
  made.className = "wgsl";
  let at = 0;
  for (const match of wgsl.matchAll(WORDS)) {
    made.append(wgsl.slice(at, match.index));
    const span = document.createElement("span");
    span.className = match[1] ? "note" : match[2] ? "word" : match[3] ? "type" : "number";
    span.textContent = match[0];
    made.append(span);
    at = match.index + match[0].length;
  }
  made.append(wgsl.slice(at));
  return made;
}
