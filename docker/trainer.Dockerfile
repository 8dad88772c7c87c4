# The trainer's computer: reads bags, needs no ROS graph. Torch and the trainer itself come with later releases;
# until then this image is the package with its bag tools.
#   docker build -f docker/trainer.Dockerfile --build-arg UID=$(id -u) -t vla_mbpo_ros/trainer .
FROM python:3.12-slim-bookworm
ARG UID=1000

RUN apt-get update \
 && apt-get install -y --no-install-recommends make git build-essential cmake libegl1 libgl1 libgl1-mesa-dri libgles2 \
 && rm -rf /var/lib/apt/lists/* \
 && (id -u ${UID} >/dev/null 2>&1 || useradd --uid ${UID} --create-home robot)
WORKDIR /ws
COPY . .
RUN make setup && chown -R ${UID} /ws
USER ${UID}
ENV PATH=/ws/.venv/bin:$PATH
CMD ["vla-mbpo", "doctor"]
