export function health(root) { root.replaceChildren('…'); }
