export function stations(root) { root.replaceChildren('…'); }
