export function tryOut(root) { root.replaceChildren('…'); }
