"""What a frame shows: objects, the slip's number, how sharp and how changed the picture is.

Pixels come in here and nothing but values goes out. The rooms behind (tracking, selection) never see an image.
"""
